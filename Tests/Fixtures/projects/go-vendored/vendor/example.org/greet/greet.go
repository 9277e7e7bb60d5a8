package greet

func Hello() string { return "vendored" }
