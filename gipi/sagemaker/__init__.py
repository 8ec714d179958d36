"""Amazon SageMaker's contract with a container, kept on top of the same verbs as everything else.

    python -m gipi.sagemaker train      learns from what lies under /opt/ml/input, leaves a model in /opt/ml/model
    python -m gipi.sagemaker serve      answers with the model in /opt/ml/model, on port 8080

SageMaker starts a container as `docker run IMAGE train` or `docker run IMAGE serve`, as root, and gives it a folder:

    /opt/ml/input/config/hyperparameters.json      options, every value a string
    /opt/ml/input/config/inputdataconfig.json      the channels of data, by name, and how each comes
    /opt/ml/input/config/resourceconfig.json       the hosts that train together
    /opt/ml/input/data/CHANNEL/                    the data (input modes File and FastFile)
    /opt/ml/checkpoints/                           copied to S3 while it trains, brought back after a spot machine went
    /opt/ml/model/                                 what is kept; to serve, an unpacked model.tar.gz, to be read only
    /opt/ml/output/data/                           what else is to be kept
    /opt/ml/output/failure                         why it failed; the first 1,024 characters are shown

Train: exit code 0 is success, any other a failure; SIGTERM comes 120 seconds before SIGKILL. Serve: connections must be
accepted within 250 ms; GET /ping answers 200 with an empty body within 2 seconds once requests can come; POST
/invocations answers within 60 seconds (batch transform: 600); batch transform asks GET /execution-parameters first.
SIGTERM comes 30 seconds before SIGKILL. Where several containers share a machine, SAGEMAKER_BIND_TO_PORT names the
port.

Sources: the SageMaker developer guide, "Use Your Own Inference Code with Hosting Services", "... with Batch Transform",
"How Amazon SageMaker Runs Your Training Image", "... Provides Training Information", "... Signals Algorithm Success and
Failure", "... Processes Training Output", "Create a multi-container endpoint"; and what the sagemaker-inference and
sagemaker-training toolkits read.
"""
