def main():
    print("venv entry point")
