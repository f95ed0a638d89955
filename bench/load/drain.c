/* A client that costs next to nothing: keep-alive GETs over N connections, bodies dropped inside the kernel.
 *
 *   drain [-H HEADER]... [-r RATE] HOST PORT CONNECTIONS SECONDS REQUESTS   (paths from standard input, one a line)
 *
 * Every connection takes the next path of the list, round and round, until SECONDS have passed or REQUESTS (0: no
 * bound) were asked. A request under way at the end of the time is dropped and not counted as a request; its bytes are.
 *
 * With -r the requests are due at even times, RATE a second, whether or not earlier ones were answered (an open loop):
 * each takes a free connection as soon as there is one, and its time counts from when it was due. A server that stalls
 * therefore pays for all that waited, which a client that politely waits for it would hide (coordinated omission).
 * Requests that were due and never answered count with the time that they had waited at the end.
 *
 * Prints one line of JSON. Linux only (epoll, MSG_TRUNC on TCP). Exit 1: no connection, or any answer that isn't a
 * whole 200.
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
enum { HEADERS_BYTES_MAX = 4096, LINE_BYTES_MAX = 64 };
/* How long answers are waited for after the end of an open loop, in seconds. */
static const double PATIENCE = 5;

enum framing { BY_LENGTH, CHUNKED, LAST_CHUNK, UNTIL_CLOSED };

struct connection {
    int fd;
    int head_bytes;      /* of the head, so far */
    long long body_left; /* of the body, or of its chunk; -1: the head isn't whole yet */
    enum framing framing;
    int served;          /* answers over this very connection */
    int closing;         /* the server said that it closes it */
    const char *path;
    double asked, first; /* seconds: request sent or due, first byte of the answer seen */
    char head[HEAD_BYTES_MAX + 1];
};

static struct connection connections[CONNECTIONS_MAX];
static char **paths;
static size_t path_count, path_capacity, next_path;
static long long asked, requests_max, answered, failed, bytes;
static double rate; /* requests a second; 0: as fast as answers come */
static char headers[HEADERS_BYTES_MAX + 3];
static int poller, open_connections;
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

static void watch(struct connection *c) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
}

static void reopen(struct connection *c) {
    close(c->fd);
    c->fd = open_connection();
    c->served = c->closing = 0;
    watch(c);
}

static int send_request(struct connection *c) {
    char request[PATH_BYTES_MAX + HEADERS_BYTES_MAX + 256];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n", c->path, host, port, headers);
    c->head_bytes = 0;
    c->body_left = -1;
    c->framing = BY_LENGTH;
    c->first = 0;
    return send(c->fd, request, (size_t)length, MSG_NOSIGNAL) == length;
}

/* Sends the next request, which was due then; false when there is none left. */
static int ask(struct connection *c, double due) {
    if (requests_max && asked >= requests_max) return 0;
    asked++;
    c->path = paths[next_path];
    next_path = (next_path + 1) % path_count;
    c->asked = due;
    if (c->closing) reopen(c);
    return send_request(c);
}

static int understand(struct connection *c) {
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 && strncmp(c->head, "HTTP/1.0 200", 12) != 0) {
        fprintf(stderr, "drain: unexpected answer: %.*s\n", (int)strcspn(c->head, "\r"), c->head);
        return 0;
    }
    c->closing = strcasestr(c->head, "\r\nconnection: close") != NULL || c->head[7] == '0';
    if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) {
        c->framing = CHUNKED;
        c->body_left = 0;
    } else if (length) {
        c->body_left = atoll(length + 17);
    } else {
        c->framing = UNTIL_CLOSED;
        c->body_left = DROP_BYTES_MAX;
    }
    return 1;
}

/* Reads the head byte-exactly: peeks, then takes no more than the head, so that the body is never copied. */
static int read_head(struct connection *c) {
    char *at = c->head + c->head_bytes;
    ssize_t seen = recv(c->fd, at, (size_t)(HEAD_BYTES_MAX - c->head_bytes), MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (seen <= 0 && c->served && !c->head_bytes) {
        /* The server had closed a connection that it kept for a while: the request goes over a new one. */
        reopen(c);
        return send_request(c);
    }
    if (seen <= 0) return 0;
    if (!c->first) c->first = now();
    c->head[c->head_bytes + seen] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    int take = end ? (int)(end + 4 - at) : (int)seen;
    if (recv(c->fd, at, (size_t)take, 0) != take) return 0;
    c->head_bytes += take;
    if (!end) return c->head_bytes < HEAD_BYTES_MAX;
    end[2] = 0;
    return understand(c);
}

/* Takes the line before a chunk. 1: done, 0: broken, -1: not whole yet. */
static int read_chunk_line(struct connection *c) {
    char line[LINE_BYTES_MAX + 1];
    ssize_t seen = recv(c->fd, line, LINE_BYTES_MAX, MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
    if (seen <= 0) return 0;
    line[seen] = 0;
    char *end = strstr(line, "\r\n");
    if (!end) return seen < LINE_BYTES_MAX ? -1 : 0;
    if (recv(c->fd, line, (size_t)(end + 2 - line), 0) <= 0) return 0;
    long long size = strtoll(line, NULL, 16);
    bytes += size;
    c->body_left = size + 2;
    if (!size) c->framing = LAST_CHUNK;
    return 1;
}

/* 1: answered, 0: this connection is broken, -1: there is more to come. */
static int read_body(struct connection *c) {
    for (;;) {
        while (c->body_left > 0) {
            size_t want = c->body_left < DROP_BYTES_MAX ? (size_t)c->body_left : DROP_BYTES_MAX;
            ssize_t got = recv(c->fd, NULL, want, MSG_TRUNC | MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
            if (got == 0 && c->framing == UNTIL_CLOSED) return 1;
            if (got <= 0) return 0;
            if (c->framing != UNTIL_CLOSED) c->body_left -= got;
            if (c->framing == BY_LENGTH || c->framing == UNTIL_CLOSED) bytes += got;
        }
        if (c->framing != CHUNKED) return 1;
        int line = read_chunk_line(c);
        if (line <= 0) return line;
    }
}

/* 1: go on, 0: this connection is broken, -1: it has nothing left to ask, 2: it is free (in an open loop). */
static int step(struct connection *c) {
    if (c->body_left < 0) {
        if (!read_head(c)) return 0;
        if (c->body_left < 0) return 1;
    }
    int state = read_body(c);
    if (state <= 0) return state < 0;
    double at = now();
    note(c->first - c->asked, at - c->asked);
    answered++;
    c->served++;
    if (rate) return 2;
    if (requests_max && asked >= requests_max) return -1;
    return ask(c, at);
}

/* One round of events; free connections are put on the list, if there is one. */
static void turn(int wait_ms, struct connection **list, int *listed) {
    struct epoll_event events[64];
    int ready = epoll_wait(poller, events, 64, wait_ms);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
        struct connection *c = events[i].data.ptr;
        if (list && !c->path) {
            /* It was free, and the server has closed it meanwhile. */
            reopen(c);
            continue;
        }
        int state = step(c);
        if (state == 1) continue;
        if (state == 2) {
            c->path = NULL;
            list[(*listed)++] = c;
            continue;
        }
        if (state == 0) failed++;
        close(c->fd);
        open_connections--;
    }
}

/* As fast as answers come. */
static void closed_loop(int count, double end) {
    for (int i = 0; i < count; i++) {
        if (!ask(&connections[i], now())) continue;
        watch(&connections[i]);
        open_connections++;
    }
    for (double left; open_connections > 0 && (left = end - now()) > 0;) turn((int)(left * 1000) + 1, NULL, NULL);
}

/* At even times. It never sleeps: a timer of the kernel would be later than what it is to measure. */
static void open_loop(int count, double start, double end) {
    struct connection *list[CONNECTIONS_MAX];
    int listed = 0;
    for (int i = 0; i < count; i++) {
        watch(&connections[i]);
        list[listed++] = &connections[i];
        open_connections++;
    }
    long long due_all = (long long)((end - start) * rate);
    while (open_connections > 0 && now() < end + PATIENCE) {
        while (listed && asked < due_all && start + (double)asked / rate <= now()) {
            struct connection *c = list[--listed];
            if (!ask(c, start + (double)asked / rate)) failed++;
        }
        if (asked == due_all && listed == open_connections) break;
        turn(0, list, &listed);
    }
    double at = now();
    for (int i = 0; i < count; i++)
        if (connections[i].path && connections[i].asked > 0) note(at - connections[i].asked, at - connections[i].asked), answered++;
    for (long long i = asked; i < due_all; i++) note(at - start - (double)i / rate, at - start - (double)i / rate), answered++;
    open_connections = 0;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_share(const double *sorted, double share) {
    long long i = (long long)(share * (double)answered);
    return sorted[i < answered ? i : answered - 1];
}

static int usage(void) {
    fprintf(stderr, "usage: drain [-H HEADER]... [-r RATE] HOST PORT CONNECTIONS SECONDS REQUESTS <PATHS\n");
    return 2;
}

int main(int argc, char **argv) {
    size_t used = 0;
    for (int option; (option = getopt(argc, argv, "H:r:")) != -1;) {
        if (option == 'r') {
            rate = atof(optarg);
        } else if (option != 'H' || used + strlen(optarg) + 2 > HEADERS_BYTES_MAX) {
            return usage();
        } else {
            used += (size_t)sprintf(headers + used, "%s\r\n", optarg);
        }
    }
    if (!used) strcpy(headers, "Accept: */*\r\nAccept-Encoding: identity\r\n");
    argv += optind;
    if (argc - optind != 5 || rate < 0) return usage();
    host = argv[0];
    port = atoi(argv[1]);
    int count = atoi(argv[2]);
    double seconds = atof(argv[3]);
    requests_max = atoll(argv[4]);
    char line[PATH_BYTES_MAX + 2];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (*line) add_path(line);
    }
    if (!path_count || count < 1 || count > CONNECTIONS_MAX) {
        fprintf(stderr, "drain: no path, or not 1 to %d connections\n", CONNECTIONS_MAX);
        return 2;
    }
    if ((poller = epoll_create1(0)) < 0) die("epoll");
    for (int i = 0; i < count; i++) connections[i].fd = open_connection();
    double start = now();
    if (rate)
        open_loop(count, start, start + seconds);
    else
        closed_loop(count, start + seconds);
    double took = now() - start;
    long long n = answered;
    qsort(firsts, (size_t)n, sizeof *firsts, by_value);
    qsort(totals, (size_t)n, sizeof *totals, by_value);
    printf("{\"requests\": %lld, \"bytes\": %lld, \"seconds\": %.6f, \"failed\": %lld, \"unfinished\": %d", n, bytes, took,
           failed, open_connections);
    if (n) {
        printf(", \"first_median\": %.6f, \"first_max\": %.6f", firsts[n / 2], firsts[n - 1]);
        printf(", \"total_median\": %.6f, \"total_min\": %.6f, \"total_max\": %.6f", totals[n / 2], totals[0], totals[n - 1]);
        printf(", \"p50\": %.6f, \"p99\": %.6f, \"p999\": %.6f", at_share(totals, .5), at_share(totals, .99), at_share(totals, .999));
    }
    printf("}\n");
    return failed ? 1 : 0;
}
