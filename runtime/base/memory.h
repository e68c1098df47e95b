/* How much memory this process may still take, and what it has taken. */
#ifndef CAMEO_MEMORY_H
#define CAMEO_MEMORY_H
#include <stddef.h>

/* Bytes: free memory of the machine, limits of the control group and of setrlimit; the least of
   them. */
size_t cameo_memory_available(void);
double cameo_peak_mb(void); /* the most memory this process has had */
#endif
