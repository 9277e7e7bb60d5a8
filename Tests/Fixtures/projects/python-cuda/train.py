import os

print("cuda", os.path.getsize("/usr/local/cuda/lib64/libcublas.so.12") >> 20, os.path.getsize("/opt/keep/libcudnn_static.a") >> 20)
