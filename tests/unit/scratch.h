/* A folder for a test's files that goes when the test does, however it ends: a child that only
   waits for that removes it. */
#ifndef CAMEO_TEST_SCRATCH_H
#define CAMEO_TEST_SCRATCH_H
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The child: reads until nobody holds the other end of the pipe any more. */
static inline void scratch_guard(int from, int to, const char *directory) {
    char byte, command[200];
    setsid(); /* an interrupt from the terminal is for the test */
    signal(SIGTERM, SIG_IGN);
    close(to);
    for (int fd = 0; fd < 3; fd++)
        close(fd); /* whoever reads the test's output must not wait for us */
    while (read(from, &byte, 1) > 0) continue;
    snprintf(command, sizeof command, "chmod -Rf u+w '%s'; rm -rf '%s'", directory, directory);
    if (chdir("/") == 0) execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(1);
}

/* `directory` ends with XXXXXX; it is made, and is the working directory then. */
static inline bool scratch_enter(char *directory) {
    int ends[2];
    if (!mkdtemp(directory) || chdir(directory) != 0 || pipe(ends) != 0) return false;
    pid_t child = fork();
    if (child == 0) scratch_guard(ends[0], ends[1], directory);
    close(ends[0]);
    return child > 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0; /* ends[1] stays open as long as
                                                                     this process lives */
}

/* The working directory, which ctest makes the build tree, is where `cameo compile` finds the
   runtime. */
static inline void scratch_home(void) {
    char directory[4096];
    if (getcwd(directory, sizeof directory)) setenv("CAMEO_HOME", directory, 1);
}
#endif
