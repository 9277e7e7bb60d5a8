import os

import idna
import six

print("wheels", idna.__version__, six.__version__, os.path.exists("/wheels/main.py"))
