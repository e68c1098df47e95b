/* Child processes: started with fork and exec (no shell, so that names need no quoting), several
   at a time. */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOT_FOUND = 127 };

static volatile sig_atomic_t signal_seen;
static struct sigaction old_int, old_term;
static unsigned depth; /* of process_begin */

static void note_signal(int s) { signal_seen = s; }

void process_begin(void) {
    struct sigaction sa;
    if (depth++) return;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = note_signal; /* no SA_RESTART: waitpid must return */
    signal_seen = 0;
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* a compiler's children become ours when it ends before them
                                       */
    sigaction(SIGINT, &sa, &old_int);
    sigaction(SIGTERM, &sa, &old_term);
}

void process_end(void) {
    if (--depth) return;
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    if (signal_seen) raise((int)signal_seen);
}

bool process_interrupted(void) { return signal_seen != 0; }

static pid_t start(const command *c, const char *directory) {
    const pid_t pid = fork();
    if (pid > 0) setpgid(pid, pid); /* a group of its own: cc's own children die with it */
    if (pid) return pid;
    setpgid(0, 0);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    setenv("LC_ALL", "C", 1);       /* messages in the words that toolchain.c knows */
    setenv("TMPDIR", directory, 1); /* what an interrupted compiler leaves there goes with the
                                       directory */
    if (chdir(directory)) _exit(NOT_FOUND);
    const int fd = open(c->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) dup2(fd, 1), dup2(fd, 2);
    execvp(c->argv[0], c->argv);
    _exit(NOT_FOUND);
}

static size_t find(const pid_t *pid, size_t n, pid_t wanted) {
    size_t i = 0;
    while (i < n && pid[i] != wanted) i++;
    return i;
}

static void kill_all(const pid_t *pid, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (pid[i] > 0) kill(-pid[i], SIGTERM);
}

/* A compiler that ends at a signal does not wait for its own children; here they are ours (see
   process_begin) and are waited for, so that none writes into a directory that is being removed.
   Not for ever: one of them may have made a daemon. */
static void wait_for_orphans(void) {
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < 400; i++) {
        const pid_t ended = waitpid(-1, NULL, WNOHANG);
        if (ended < 0 && errno == ECHILD) return;
        if (ended == 0) nanosleep(&pause, NULL);
    }
}

bool run_commands(command *c, size_t n, unsigned at_once, const char *directory, size_t *failed) {
    pid_t *pid = calloc(n ? n : 1, sizeof *pid);
    size_t next = 0, running = 0;
    bool ok = pid != NULL;
    *failed = 0;
    while (pid && ((ok && next < n) || running)) {
        if (ok && next < n && running < at_once && !signal_seen) {
            pid[next] = start(&c[next], directory);
            if (pid[next] > 0)
                running++;
            else
                ok = false, *failed = next, c[next].status = NOT_FOUND << 8;
            next++;
            continue;
        }
        if (!running) break;
        int status;
        const pid_t done = waitpid(-1, &status, 0);
        if (done < 0 || signal_seen) ok = false, kill_all(pid, next);
        if (done < 0 && errno != EINTR) break;
        const size_t i = done > 0 ? find(pid, next, done) : next;
        if (i == next) continue;
        pid[i] = 0;
        running--;
        c[i].status = status;
        if (status && ok) ok = false, *failed = i, kill_all(pid, next);
    }
    free(pid);
    if (!ok || signal_seen) wait_for_orphans(); /* what was killed */
    return ok && !signal_seen;
}

bool command_missing(const command *c) {
    return WIFEXITED(c->status) && WEXITSTATUS(c->status) == NOT_FOUND;
}
