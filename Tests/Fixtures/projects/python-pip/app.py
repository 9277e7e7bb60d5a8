import idna, os

print("pip", idna.__version__, os.getuid())
