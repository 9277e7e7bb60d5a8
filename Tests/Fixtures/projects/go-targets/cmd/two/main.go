package main

import (
	"fmt"

	"example.org/app/add"
)

func main() { fmt.Println("two", add.Add(1, 1)) }
