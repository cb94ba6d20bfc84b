"""Installed as sitecustomize.py beside the local AWS server.

Functions run on that environment's Python, whose own libraries would hide what a layer lacks. So where a
function runs, they are taken off the path: what the layers do not hold is not there.
"""

import os
import sys

if "_LAMBDA_FUNCTION_ARN" in os.environ:
    sys.path[:] = [entry for entry in sys.path if "site-packages" not in entry]
