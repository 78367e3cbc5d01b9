"""Irrevocable restrictions of a process by the Linux kernel: network namespace, Landlock, seccomp."""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

# <sched.h>, <sys/prctl.h>, <linux/seccomp.h>
CLONE_NEWUSER, CLONE_NEWNET, CLONE_THREAD = 0x1000_0000, 0x4000_0000, 0x1_0000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 38, 22, 2
SIGKILL, CAPABILITY_VERSION_3 = 9, 0x2008_0522
# <linux/landlock.h>; the three system calls have these numbers on every architecture
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
GET_VERSION, PATH_BENEATH, READ_FILE, READ_DIR = 1, 1, 1 << 2, 1 << 3
ACCESS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # number of file rights by Landlock version; later ones add none
TCP, SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals to other processes

ARCHITECTURES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}  # column below, AUDIT_ARCH
SYSTEM_CALLS = {
    # the network
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202),
    # programs and processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "unshare": (272, 97),
    "setns": (308, 268), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "move_pages": (279, 239), "migrate_pages": (256, 238),
    # signals and priorities of other processes
    "kill": (62, 129), "tkill": (200, 130), "pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "ioprio_set": (251, 30), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    # metadata of files, which Landlock does not guard
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "setxattrat": (463, 463), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "removexattrat": (466, 466), "file_setattr": (469, 469), "truncate": (76, 45),
    # memory and messages that outlive a process, and news of others' files
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191),
    "semop": (65, 193), "semtimedop": (220, 192), "msgget": (68, 186), "msgctl": (71, 187), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "mq_open": (240, 180), "mq_unlink": (241, 181), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "syslog": (103, 116),
    # large parts of the kernel that models do not need
    "io_uring_setup": (425, 425), "mount": (165, 40), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "add_key": (248, 217), "keyctl": (250, 219),
}  # fmt: skip
OF_ITSELF_ONLY = {"prlimit64": (302, 261), "tgkill": (234, 131), "sched_setaffinity": (203, 122)}
"""Calls whose first argument is a process: allowed for this one, and for 0, which means it too."""
SET_PRIORITY, PRIO_PROCESS = (141, 140), 0  # an image worker lowers its own
CLONE, CLONE3 = (56, 220), 435
EPERM, ENOSYS = 1, 38


def isolate_network() -> bool:
    """Move this process, while it has one thread, and its children to an empty network namespace.

    False where the kernel refuses: in some containers, and where unprivileged namespaces are disabled.
    """
    libc = _libc()
    return libc is not None and (libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWNET) == 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    if libc := _libc():
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def drop_privileges() -> None:
    """Drop all capabilities and set no_new_privs, which Landlock and seccomp require."""
    if libc := _libc():
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.capset(struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bytes(24))


def restrict_files(paths: Iterable[str]) -> bool:
    """Allow this process only to read `paths` and what is below them, and no TCP; False without Landlock.

    Files that are open already stay usable.
    """
    libc = _libc()
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), GET_VERSION) if libc else -1
    if libc is None or version < 1:
        return False
    handled = (1 << ACCESS_RIGHTS[min(version, 5)]) - 1
    rules = struct.pack("=QQQ", handled, TCP, SCOPES)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = libc.syscall(CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return False
    for path in paths:
        try:
            file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # does not exist here
            continue
        rights = READ_FILE | READ_DIR if Path(path).is_dir() else READ_FILE
        libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, file), 0)
        os.close(file)
    restricted = libc.syscall(RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return bool(restricted)


def filter_system_calls() -> bool:
    """Deny this process sockets, programs, other processes and metadata of files; False without seccomp.

    Threads stay allowed. Only for x86-64 and ARM64, whose system call numbers are listed above.
    """
    libc = _libc()
    if libc is None or platform.machine() not in ARCHITECTURES:
        return False
    program = _filter(*ARCHITECTURES[platform.machine()])
    code = ctypes.create_string_buffer(program)
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0) == 0)


def _filter(column: int, architecture: int) -> bytes:
    """The filter in classic BPF: each line is an instruction, two jump offsets (true, false) and an operand."""
    load, equal, above, bits, ret = 0x20, 0x15, 0x35, 0x45, 0x06  # <linux/bpf_common.h>
    allow, kill, error = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
    number, architecture_field, first_argument, second_argument = (
        0,
        4,
        16,
        24,
    )  # offsets in struct seccomp_data, little-endian

    lines = [(load, 0, 0, architecture_field), (equal, 1, 0, architecture), (ret, 0, 0, kill), (load, 0, 0, number)]
    if column == 0:  # x86-64 has a second set of system calls, x32
        lines += [(above, 0, 1, 0x4000_0000), (ret, 0, 0, kill)]
    for numbers in SYSTEM_CALLS.values():
        if (call := numbers[column]) is not None:
            lines += [(equal, 0, 1, call), (ret, 0, 0, error | EPERM)]
    of_itself = [(equal, 1, 0, os.getpid()), (equal, 0, 1, 0), (ret, 0, 0, allow), (ret, 0, 0, error | EPERM)]
    for numbers in OF_ITSELF_ONLY.values():
        lines += [(equal, 0, 5, numbers[column]), (load, 0, 0, first_argument), *of_itself]
    lines += [(equal, 0, 7, SET_PRIORITY[column]), (load, 0, 0, first_argument), (equal, 0, 4, PRIO_PROCESS)]
    lines += [(load, 0, 0, second_argument), *of_itself]
    # The flags of clone3 are in memory, which a filter cannot read; after ENOSYS libc falls back to clone.
    lines += [(equal, 0, 1, CLONE3), (ret, 0, 0, error | ENOSYS)]
    lines += [(equal, 0, 3, CLONE[column]), (load, 0, 0, first_argument), (bits, 1, 0, CLONE_THREAD)]
    lines += [(ret, 0, 0, error | EPERM), (ret, 0, 0, allow)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if platform.system() == "Linux" else None
