"""`python setup.py install`, as the tutorial's text has it: today that is `pip install .`, which this calls."""

import subprocess
import sys

if sys.argv[1:] != ["install"]:
    sys.exit("setup.py knows nothing but install; everything else is pip's: pip install .")
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "."]))
