#include <stdio.h>
int twice(int);
int main(void) { printf("linked %d\n", twice(4)); return 0; }
