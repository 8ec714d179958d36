"""`python -m gipi.sagemaker train | serve`: what SageMaker starts in a container."""

import sys

from gipi.sagemaker.line import main

sys.exit(main(sys.argv[1:]))
