import idna
import sys

print("uv", idna.__version__, sys.prefix)
