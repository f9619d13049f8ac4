/*
 * The yardstick of the live benchmark: what a plain C program does with the same traffic.
 *
 *   receiver PORT VNI FILE|tap:NAME
 *
 * Receives VXLAN on one IPv4 UDP socket, 256 datagrams a call, and writes the inner frames of one VNI as a pcap file
 * with kernel time in nanoseconds, or one by one to a TAP device that it makes. Prints "listening" on standard error when the socket is open. SIGTERM: takes what
 * the socket still holds, ends the file, and prints its counts as one JSON object on standard output.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 256,
    SLOT_BYTES = 2048,
    CONTROL_BYTES = CMSG_SPACE(sizeof(struct timespec)),
    RECEIVE_BUFFER = 64 << 20,
    OUTPUT_BYTES = 1 << 20,
    PCAP_HEADER = 24,
    RECORD_HEADER = 16,
    VXLAN_HEADER = 8,         /* RFC 7348 section 5 */
    VXLAN_FLAG_I = 0x08,
    SNAP_LENGTH = 262144,
    LINKTYPE_ETHERNET = 1,
    MEMINFO_WORDS = 9,        /* linux/sock_diag.h: SK_MEMINFO_VARS */
    MEMINFO_DROPS = 8,        /* linux/sock_diag.h: SK_MEMINFO_DROPS */
};

static const uint32_t PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d;

struct totals {
    uint64_t received, written, short_header, bad_flags, other_vni, truncated;
};

struct output {
    int fd;
    int is_tap;
    size_t used;
    uint8_t bytes[OUTPUT_BYTES];
};

static volatile sig_atomic_t stopping;

static void on_terminate(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_socket(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    int size = RECEIVE_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) fail("SO_RCVBUFFORCE");
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0) fail("SO_TIMESTAMPNS");
    /* A SIGTERM that comes between the look at `stopping` and the call is noticed after this time. */
    struct timeval deadline = { .tv_usec = 100000 };
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) < 0) fail("SO_RCVTIMEO");
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    return fd;
}

static void flush(struct output *out)
{
    size_t done = 0;
    while (done < out->used) {
        ssize_t n = write(out->fd, out->bytes + done, out->used - done);
        if (n < 0 && errno != EINTR) fail("write");
        if (n > 0) done += (size_t)n;
    }
    out->used = 0;
}

static void begin_file(struct output *out, const char *path)
{
    out->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (out->fd < 0) fail(path);
    struct { uint32_t magic; uint16_t major, minor; uint32_t zone, accuracy, snap_length, link_type; } header = {
        PCAP_MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAP_LENGTH, LINKTYPE_ETHERNET,
    };
    memcpy(out->bytes, &header, PCAP_HEADER);
    out->used = PCAP_HEADER;
}

static void begin_tap(struct output *out, const char *name)
{
    out->is_tap = 1;
    out->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (out->fd < 0) fail("/dev/net/tun");
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(out->fd, TUNSETIFF, &request) < 0) fail("TUNSETIFF");
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_flags = IFF_UP | IFF_NOARP;
    if (any < 0 || ioctl(any, SIOCSIFFLAGS, &request) < 0) fail("SIOCSIFFLAGS");
    close(any);
}

static struct timespec arrival(struct msghdr *message)
{
    struct timespec time;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&time, CMSG_DATA(c), sizeof time);
            return time;
        }
    }
    clock_gettime(CLOCK_REALTIME, &time);
    return time;
}

static void take(struct mmsghdr *entry, uint32_t vni, struct output *out, struct totals *totals)
{
    const uint8_t *packet = entry->msg_hdr.msg_iov->iov_base;
    uint32_t wire = entry->msg_len;
    if (wire < VXLAN_HEADER) { totals->short_header++; return; }
    if (!(packet[0] & VXLAN_FLAG_I)) { totals->bad_flags++; return; }
    uint32_t id = (uint32_t)packet[4] << 16 | (uint32_t)packet[5] << 8 | packet[6];
    if (id != vni) { totals->other_vni++; return; }
    uint32_t captured = wire;
    if (entry->msg_hdr.msg_flags & MSG_TRUNC) { captured = SLOT_BYTES; totals->truncated++; }

    uint32_t length = captured - VXLAN_HEADER;
    if (out->is_tap) {
        if (write(out->fd, packet + VXLAN_HEADER, length) != (ssize_t)length) fail("write");
        totals->written++;
        return;
    }
    if (out->used + RECORD_HEADER + length > OUTPUT_BYTES) flush(out);
    struct timespec time = arrival(&entry->msg_hdr);
    uint32_t record[4] = { (uint32_t)time.tv_sec, (uint32_t)time.tv_nsec, length, wire - VXLAN_HEADER };
    memcpy(out->bytes + out->used, record, RECORD_HEADER);
    memcpy(out->bytes + out->used + RECORD_HEADER, packet + VXLAN_HEADER, length);
    out->used += RECORD_HEADER + length;
    totals->written++;
}

static void receive_until_stopped(int fd, uint32_t vni, struct output *out, struct totals *totals)
{
    static struct mmsghdr entries[BATCH];
    static struct iovec vectors[BATCH];
    static uint8_t slots[BATCH][SLOT_BYTES];
    static _Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL_BYTES];
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){ .iov_base = slots[i], .iov_len = SLOT_BYTES };
        entries[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = control[i] };
    }
    for (;;) {
        int draining = stopping;
        /* The kernel writes the length of what it put there over msg_controllen. */
        for (int i = 0; i < BATCH; i++) entries[i].msg_hdr.msg_controllen = CONTROL_BYTES;
        int n = recvmmsg(fd, entries, BATCH, MSG_TRUNC | (draining ? MSG_DONTWAIT : MSG_WAITFORONE), NULL);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR) fail("recvmmsg");
            if (draining && errno == EAGAIN) return;
            continue;
        }
        totals->received += (uint64_t)n;
        for (int i = 0; i < n; i++) take(&entries[i], vni, out, totals);
    }
}

static uint32_t kernel_drops(int fd)
{
    uint32_t words[MEMINFO_WORDS] = { 0 };
    socklen_t size = sizeof words;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, words, &size) < 0) fail("SO_MEMINFO");
    return words[MEMINFO_DROPS];
}

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: receiver PORT VNI FILE|tap:NAME\n");
        return 64;
    }
    struct sigaction action = { .sa_handler = on_terminate };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    static struct output out;
    struct totals totals = { 0 };
    if (strncmp(argv[3], "tap:", 4) == 0) begin_tap(&out, argv[3] + 4);
    else begin_file(&out, argv[3]);
    int fd = open_socket((uint16_t)atoi(argv[1]));
    fprintf(stderr, "listening\n");
    receive_until_stopped(fd, (uint32_t)atoi(argv[2]), &out, &totals);
    flush(&out);
    if (close(out.fd) < 0) fail("close");

    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"received\":%" PRIu64 ",\"written\":%" PRIu64 ",\"shortHeader\":%" PRIu64 ",\"badFlags\":%" PRIu64
           ",\"otherVni\":%" PRIu64 ",\"truncated\":%" PRIu64 ",\"kernelDropped\":%" PRIu32
           ",\"userMicroseconds\":%" PRIu64 ",\"systemMicroseconds\":%" PRIu64 "}\n",
           totals.received, totals.written, totals.short_header, totals.bad_flags, totals.other_vni, totals.truncated,
           kernel_drops(fd), microseconds(usage.ru_utime), microseconds(usage.ru_stime));
    close(fd);
    return 0;
}
