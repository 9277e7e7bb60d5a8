import sys

import idna

print("pipenv", idna.__version__, *sys.argv[1:])
