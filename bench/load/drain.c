/* A client that costs next to nothing: keep-alive GETs over N connections, bodies dropped inside the kernel.
 *
 *   drain HOST PORT CONNECTIONS SECONDS REQUESTS [PATH...]     (paths from standard input, one a line, if none)
 *
 * Every connection takes the next path of the list, round and round, until SECONDS have passed or REQUESTS (0: no
 * bound) were asked. A request under way at the end of the time is dropped and not counted as a request; its bytes are.
 * Prints one line of JSON. Linux only (epoll, MSG_TRUNC on TCP). Exit 1: no connection, or any answer that isn't a
 * whole 200 with a Content-Length.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, HEAD_BYTES_MAX = 8192, PATH_BYTES_MAX = 4096, DROP_BYTES_MAX = 4 << 20 };

struct connection {
    int fd;
    int head_bytes;      /* of the head, so far */
    long long body_left; /* -1: the head isn't whole yet */
    double asked, first; /* seconds: request sent, first byte of the body's answer seen */
    char head[HEAD_BYTES_MAX + 1];
};

static struct connection connections[CONNECTIONS_MAX];
static char **paths;
static size_t path_count, path_capacity, next_path;
static long long asked, requests_max, answered, failed, bytes;
static double *firsts, *totals;
static size_t times_capacity;
static const char *host;
static int port;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
    fprintf(stderr, "drain: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void add_path(const char *path) {
    if (strlen(path) > PATH_BYTES_MAX) {
        fprintf(stderr, "drain: a path is too long\n");
        exit(2);
    }
    if (path_count == path_capacity) {
        path_capacity = path_capacity ? path_capacity * 2 : 64;
        paths = realloc(paths, path_capacity * sizeof *paths);
        if (!paths) die("memory");
    }
    if (!(paths[path_count++] = strdup(path))) die("memory");
}

static void note(double first, double total) {
    if ((size_t)answered == times_capacity) {
        times_capacity = times_capacity ? times_capacity * 2 : 4096;
        firsts = realloc(firsts, times_capacity * sizeof *firsts);
        totals = realloc(totals, times_capacity * sizeof *totals);
        if (!firsts || !totals) die("memory");
    }
    firsts[answered] = first;
    totals[answered] = total;
}

static int open_connection(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) die("HOST must be an IPv4 address");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Sends the next request; false when there is none left. */
static int ask(struct connection *c) {
    char request[PATH_BYTES_MAX + 256];
    if (requests_max && asked >= requests_max) return 0;
    asked++;
    const char *path = paths[next_path];
    next_path = (next_path + 1) % path_count;
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s:%d\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n", path,
                          host, port);
    c->head_bytes = 0;
    c->body_left = -1;
    c->asked = now();
    c->first = 0;
    return send(c->fd, request, (size_t)length, MSG_NOSIGNAL) == length;
}

/* Reads the head byte-exactly: peeks, then takes no more than the head, so that the body is never copied. */
static int read_head(struct connection *c) {
    char *at = c->head + c->head_bytes;
    ssize_t seen = recv(c->fd, at, (size_t)(HEAD_BYTES_MAX - c->head_bytes), MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (seen <= 0) return 0;
    if (!c->first) c->first = now();
    c->head[c->head_bytes + seen] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    int take = end ? (int)(end + 4 - at) : (int)seen;
    if (recv(c->fd, at, (size_t)take, 0) != take) return 0;
    c->head_bytes += take;
    if (!end) return c->head_bytes < HEAD_BYTES_MAX;
    end[2] = 0;
    char *field = strcasestr(c->head, "\r\ncontent-length:");
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !field) {
        fprintf(stderr, "drain: unexpected answer: %.*s\n", (int)strcspn(c->head, "\r"), c->head);
        return 0;
    }
    c->body_left = atoll(field + 17);
    return 1;
}

/* 1: go on, 0: this connection is broken, -1: it has nothing left to ask. */
static int step(struct connection *c) {
    if (c->body_left < 0 && !read_head(c)) return 0;
    while (c->body_left > 0) {
        size_t want = c->body_left < DROP_BYTES_MAX ? (size_t)c->body_left : DROP_BYTES_MAX;
        ssize_t got = recv(c->fd, NULL, want, MSG_TRUNC | MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
        if (got <= 0) return 0;
        c->body_left -= got;
        bytes += got;
    }
    if (c->body_left != 0) return 1;
    note(c->first - c->asked, now() - c->asked);
    answered++;
    if (requests_max && asked >= requests_max) return -1;
    return ask(c);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: drain HOST PORT CONNECTIONS SECONDS REQUESTS [PATH...]\n");
        return 2;
    }
    host = argv[1];
    port = atoi(argv[2]);
    int count = atoi(argv[3]);
    double seconds = atof(argv[4]);
    requests_max = atoll(argv[5]);
    for (int i = 6; i < argc; i++) add_path(argv[i]);
    char line[PATH_BYTES_MAX + 2];
    while (argc == 6 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (*line) add_path(line);
    }
    if (!path_count || count < 1 || count > CONNECTIONS_MAX) {
        fprintf(stderr, "drain: no path, or not 1 to %d connections\n", CONNECTIONS_MAX);
        return 2;
    }
    int poll = epoll_create1(0), open = 0;
    if (poll < 0) die("epoll");
    for (int i = 0; i < count; i++) connections[i].fd = open_connection();
    double start = now(), end = start + seconds;
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (!ask(&connections[i])) continue;
        if (epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event) != 0) die("epoll_ctl");
        open++;
    }
    struct epoll_event events[64];
    while (open > 0) {
        double left = end - now();
        if (left <= 0) break;
        int ready = epoll_wait(poll, events, 64, (int)(left * 1000) + 1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            int state = step(c);
            if (state > 0) continue;
            if (state == 0) failed++;
            close(c->fd);
            open--;
        }
    }
    double took = now() - start;
    long long n = answered;
    qsort(firsts, (size_t)n, sizeof *firsts, by_value);
    qsort(totals, (size_t)n, sizeof *totals, by_value);
    printf("{\"requests\": %lld, \"bytes\": %lld, \"seconds\": %.6f, \"failed\": %lld, \"unfinished\": %d", n, bytes, took,
           failed, open);
    if (n)
        printf(", \"first_median\": %.6f, \"total_median\": %.6f, \"total_max\": %.6f", firsts[n / 2], totals[n / 2],
               totals[n - 1]);
    printf("}\n");
    return failed ? 1 : 0;
}
