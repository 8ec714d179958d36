"""All cases of the bench: the lists that its files hold, put together."""

import data_faults
import healthy
import loops
import setup_faults
import system_faults
import training_faults

SABOTAGED = [
    *data_faults.FAMILIES,
    *setup_faults.FAMILIES,
    *training_faults.FAMILIES,
    *system_faults.FAMILIES,
    *loops.FAMILIES,
]
HEALTHY = [*healthy.FAMILIES, *loops.HEALTHY]
