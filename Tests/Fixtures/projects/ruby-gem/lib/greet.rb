def greet = "ruby gem"
