#include <iostream>

int main() { std::cout << "c++ " << PROJECT << std::endl; }
