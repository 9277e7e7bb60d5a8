#include <stdio.h>
int main(void) { puts("autotools"); return 0; }
