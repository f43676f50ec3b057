// Preloaded into a process that saves a checkpoint: the nth call that changes a file ends the process, is cut
// short or finds the disk full, so that a test can try them all.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { KILL_BEFORE, KILL_WITHIN, FULL, SHORT };
static atomic_int left, mode;

void interrupt_at(int call, int how) {
  atomic_store(&mode, how);
  atomic_store(&left, call);
}
// Calls that were still to come; not positive if it happened.
int interrupt_left(void) { return atomic_load(&left); }

static int reached(void) {
  const int now = atomic_load(&left);
  if (now == 0) return 0;
  if (now < 0) return 1;  // a disk stays full
  if (atomic_fetch_sub(&left, 1) != 1) return 0;
  if (atomic_load(&mode) == FULL) atomic_store(&left, -1);
  return 1;
}

static void end(void) { kill(getpid(), SIGKILL); }

// Bytes to write at most, or -1 for none.
static ssize_t allowed(size_t size) {
  if (!reached()) return (ssize_t)size;
  switch (atomic_load(&mode)) {
    case KILL_BEFORE:
      end();
      return -1;
    case FULL:
      errno = ENOSPC;
      return -1;
    case KILL_WITHIN:
      return (ssize_t)size / 2;
    default:
      return (ssize_t)(size + 1) / 2;
  }
}

#define NEXT(NAME) ((__typeof__(&NAME))dlsym(RTLD_NEXT, #NAME))

static ssize_t done(ssize_t size, size_t asked) {
  if (size >= 0 && (size_t)size < asked && atomic_load(&mode) == KILL_WITHIN) end();
  return size;
}

ssize_t write(int file, const void* from, size_t size) {
  const ssize_t most = file > 2 ? allowed(size) : (ssize_t)size;
  return most < 0 ? -1 : done(NEXT(write)(file, from, (size_t)most), size);
}
ssize_t pwrite(int file, const void* from, size_t size, off_t at) {
  const ssize_t most = allowed(size);
  return most < 0 ? -1 : done(NEXT(pwrite)(file, from, (size_t)most, at), size);
}
ssize_t pwrite64(int file, const void* from, size_t size, off64_t at) {
  const ssize_t most = allowed(size);
  return most < 0 ? -1 : done(NEXT(pwrite64)(file, from, (size_t)most, at), size);
}

// Changes of names: there is no half of them, and the disk has room for them.
#define NAMES(NAME, PARAMETERS, ARGUMENTS)                          \
  int NAME PARAMETERS {                                             \
    const int now = atomic_load(&mode) < FULL && reached();         \
    if (now && atomic_load(&mode) == KILL_BEFORE) end();            \
    const int result = NEXT(NAME) ARGUMENTS;                        \
    if (now) end();                                                 \
    return result;                                                  \
  }
NAMES(rename, (const char* from, const char* to), (from, to))
NAMES(link, (const char* from, const char* to), (from, to))
NAMES(unlink, (const char* path), (path))
NAMES(remove, (const char* path), (path))
NAMES(fsync, (int file), (file))

#define OPEN(NAME)                                                                  \
  int NAME(const char* path, int flags, ...) {                                      \
    va_list rest;                                                                   \
    va_start(rest, flags);                                                          \
    const mode_t access = flags & O_CREAT ? va_arg(rest, mode_t) : 0;               \
    va_end(rest);                                                                   \
    const int now = flags & O_CREAT && atomic_load(&mode) < FULL && reached();      \
    if (now && atomic_load(&mode) == KILL_BEFORE) end();                            \
    const int result = NEXT(NAME)(path, flags, access);                             \
    if (now) end();                                                                 \
    return result;                                                                  \
  }
OPEN(open)
OPEN(open64)
