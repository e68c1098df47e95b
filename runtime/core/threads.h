/* A pool of threads: owned by its context. Two kinds: ours (threads.c) and pthreadpool (xnn.c), so
   that programs without XNNPACK layers link neither library. */
#ifndef CAMEO_THREADS_H
#define CAMEO_THREADS_H
#include "../cameo_abi.h"

struct cameo_pool {
    void (*run)(cameo_pool *, size_t n, void (*fn)(void *, size_t), void *argument);
    void (*destroy)(cameo_pool *);
};

/* NULL when no thread could be started; threads >= 2. */
cameo_pool *cameo_pool_create(int threads);
/* cameo_parallel with threads of this call alone; the caller's only where none can be started. */
void cameo_parallel_once(int threads, size_t n, void (*fn)(void *argument, size_t i),
                         void *argument);
#endif
