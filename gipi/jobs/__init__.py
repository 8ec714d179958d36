"""Jobs: a task carried out by a system on data.

A job builds the members of a run and, when they are trained, scores them and says what there is to see. Verbs start and
resume jobs; the command line and notebooks only ask verbs.
"""
