"""The earliest word that a process has died: a mutex in shared memory that its main thread holds as long as it lives.

The kernel closes the sockets of a killed process, and signals its pidfd, when it has taken down its memory; for a
Python with a few libraries that is some milliseconds. Before its memory goes, each thread that ends gives back the
robust mutexes it holds (futex(2), set_robust_list(2)). The main thread of a process of the run holds one; the keeper
sleeps until the kernel marks it "owner died". SIGKILL, a crash, ``os._exit`` and ``exec`` all do that; a child made
with fork holds nothing.

The keeper maps the memory read-only and locks nothing, so that no stray write of a test can do it harm. Where the
platform has none of this there is no notice, and a death is seen by its connection and its pidfd as ever. A core dump
is written before the notice comes.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import sys
import threading

_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
"""Number of the system call futex(2) by machine; those of 64 bits that a bench has."""
_WAIT = 0  # FUTEX_WAIT, between processes
_HOLDER = 0x3FFF_FFFF  # FUTEX_TID_MASK
_DIED = 0x4000_0000  # FUTEX_OWNER_DIED
_WAITED_FOR = 0x8000_0000  # FUTEX_WAITERS: whoever gives the mutex back, kernel or holder, wakes who sleeps
_ROBUST = 1  # PTHREAD_MUTEX_ROBUST
_SHARED = 1  # PTHREAD_PROCESS_SHARED
_ATTRIBUTES = 64  # bytes, more than a pthread_mutexattr_t has anywhere
_WORD = 4  # bytes of a futex
_NOWHERE = ctypes.c_void_p(-1).value


class DeathNotice:
    """A mutex held by the main thread of this process; it is given back when the process dies, or says goodbye.

    Its memory is never unmapped while it is held: the thread's list of robust mutexes points into it.

    Args:
        descriptor: of the shared memory, for the keeper.
        address: of the mutex.
    """

    def __init__(self, descriptor: int, address: int) -> None:
        self.descriptor = descriptor
        self._address = address

    @classmethod
    def hold(cls) -> DeathNotice | None:
        """Hold a mutex from now on; None where there is none, or when this is not the process's main thread."""
        if not _is_known() or threading.get_native_id() != os.getpid():
            return None
        try:
            descriptor = os.memfd_create("hil-death-notice")
            os.truncate(descriptor, mmap.PAGESIZE)
            made = cls(descriptor, _map(descriptor, mmap.PROT_READ | mmap.PROT_WRITE))
        except OSError:
            return None
        return made if made._lock() else None

    def _lock(self) -> bool:
        """Whether the mutex is held, and its first word is what the kernel looks at."""
        libc, mutex = _libc(), ctypes.c_void_p(self._address)
        attributes = ctypes.create_string_buffer(_ATTRIBUTES)
        if (
            libc.pthread_mutexattr_init(attributes)
            or libc.pthread_mutexattr_setpshared(attributes, _SHARED)
            or libc.pthread_mutexattr_setrobust(attributes, _ROBUST)
            or libc.pthread_mutex_init(mutex, attributes)
            or libc.pthread_mutex_lock(mutex)
        ):
            return False
        word = ctypes.c_uint32.from_address(self._address)
        if word.value != threading.get_native_id():  # another C library, with another layout
            libc.pthread_mutex_unlock(mutex)
            return False
        word.value |= _WAITED_FOR
        return True

    def close(self) -> None:
        """Close the descriptor; the keeper has its own."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def give_back(self) -> None:
        """Say goodbye; harmless when done before, and in another thread or a child, which hold nothing."""
        self.close()
        if self._address and _libc().pthread_mutex_unlock(ctypes.c_void_p(self._address)) == 0:
            _libc().munmap(ctypes.c_void_p(self._address), mmap.PAGESIZE)
            self._address = 0


def await_death(descriptor: int) -> bool:
    """Sleep until the holder of a mutex dies.

    Args:
        descriptor: of its memory; closed in the end.

    Returns:
        Whether it died; False when it said goodbye, or nothing can be told here.
    """
    try:
        return _is_known() and _await_death(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _await_death(descriptor: int) -> bool:
    libc, futex = _libc(), _FUTEX[platform.machine()]
    address = _map(descriptor, mmap.PROT_READ)
    try:
        while True:
            word = int.from_bytes(os.pread(descriptor, _WORD, 0), sys.byteorder)
            if word & _DIED or not word & _HOLDER:
                return bool(word & _DIED)
            arguments = (ctypes.c_void_p(address), ctypes.c_int(_WAIT), ctypes.c_uint32(word), None, None, 0)
            if libc.syscall(ctypes.c_long(futex), *arguments):
                problem = ctypes.get_errno()
                if problem not in (errno.EAGAIN, errno.EINTR):
                    raise OSError(problem, os.strerror(problem))
    finally:
        libc.munmap(ctypes.c_void_p(address), mmap.PAGESIZE)


def _is_known() -> bool:
    return sys.platform == "linux" and platform.machine() in _FUTEX


def _map(descriptor: int, rights: int) -> int:
    """Map one page; not by :mod:`mmap`, which would unmap it with its last reference.

    Raises:
        OSError: when the kernel refuses.
    """
    mapped = _libc().mmap(None, mmap.PAGESIZE, rights, mmap.MAP_SHARED, descriptor, 0)
    if mapped == _NOWHERE:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(mapped)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.syscall.restype = ctypes.c_long
    return libc
