def main():
    print("zipapp")
