/* A disk that fails on command: preloaded into a process, it lets calls on the files of one folder fail
 * with a real errno, as a full or broken disk does. What to do stands in a shared file, so that another
 * process can switch it on and off; see trouble.py for its layout. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, READS = 4 };

struct control {
    volatile int32_t error; /* 0 is a healthy disk */
    volatile int32_t kinds;
    volatile int32_t pass;   /* so many calls still succeed */
    volatile int32_t struck; /* how many failed */
};

static struct control *control;
static const char *folder;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTY_DISK_CONTROL");
    folder = getenv("FAULTY_DISK_FOLDER");
    if (path == NULL || folder == NULL) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (place != MAP_FAILED) control = place;
    close(file);
}

/* Whether a call of this kind on this descriptor fails now; sets errno then. */
static int fails(int descriptor, int kind) {
    if (control == NULL || control->error == 0 || !(control->kinds & kind)) return 0;
    char link[64], target[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n < 0) return 0;
    target[n] = 0;
    size_t length = strlen(folder);
    if (strncmp(target, folder, length) != 0 || target[length] != '/') return 0;
    if (__sync_fetch_and_sub(&control->pass, 1) > 0) return 0;
    control->pass = 0;
    __sync_fetch_and_add(&control->struck, 1);
    errno = control->error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(kind, type, name, declared, given)                    \
    type name declared {                                           \
        static __typeof__(&name) real;                             \
        if (real == NULL) real = REAL(name);                       \
        return fails(descriptor, kind) ? (type)-1 : real given;    \
    }

WRAP(WRITES, ssize_t, write, (int descriptor, const void *from, size_t n), (descriptor, from, n))
WRAP(WRITES, ssize_t, pwrite, (int descriptor, const void *from, size_t n, off_t at), (descriptor, from, n, at))
WRAP(WRITES, ssize_t, pwrite64, (int descriptor, const void *from, size_t n, off64_t at), (descriptor, from, n, at))
WRAP(WRITES, int, ftruncate, (int descriptor, off_t to), (descriptor, to))
WRAP(WRITES, int, ftruncate64, (int descriptor, off64_t to), (descriptor, to))
WRAP(SYNCS, int, fsync, (int descriptor), (descriptor))
WRAP(SYNCS, int, fdatasync, (int descriptor), (descriptor))
WRAP(READS, ssize_t, read, (int descriptor, void *to, size_t n), (descriptor, to, n))
WRAP(READS, ssize_t, pread, (int descriptor, void *to, size_t n, off_t at), (descriptor, to, n, at))
WRAP(READS, ssize_t, pread64, (int descriptor, void *to, size_t n, off64_t at), (descriptor, to, n, at))
