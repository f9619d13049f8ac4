// bpf(2) and what it takes to make a bpf file system. See libc.ts for the machines these numbers are true of.

/** <linux/bpf.h>, <linux/mount.h>, and <asm/unistd.h>, whose older numbers differ with the architecture. */
export const BPF_PROG_LOAD = 5
export const BPF_OBJ_PIN = 6
export const BPF_PROG_TYPE_SCHED_CLS = 3
export const FSOPEN_CLOEXEC = 1
export const FSCONFIG_CMD_CREATE = 6
export const FSMOUNT_CLOEXEC = 1
export const SYS_bpf: number = process.arch === 'arm64' ? 280 : 321
export const SYS_fsopen = 430
export const SYS_fsconfig = 431
export const SYS_fsmount = 432

/** Fields of union bpf_attr, in bytes: those of BPF_PROG_LOAD, then those of BPF_OBJ_PIN. */
export const BPF_ATTR_PROG_TYPE = 0
export const BPF_ATTR_INSN_CNT = 4
export const BPF_ATTR_INSNS = 8
export const BPF_ATTR_LICENSE = 16
export const BPF_ATTR_LOG_LEVEL = 24
export const BPF_ATTR_LOG_SIZE = 28
export const BPF_ATTR_LOG_BUF = 32
export const BPF_ATTR_PROG_NAME = 48
export const BPF_ATTR_PROG_LOAD_BYTES = 64
export const BPF_OBJ_NAME_LEN = 16
export const BPF_ATTR_PATHNAME = 0
export const BPF_ATTR_BPF_FD = 8
export const BPF_ATTR_OBJ_PIN_BYTES = 16
