// The raw socket loop that a script's speed is compared with. It sends the same command COUNT times with at
// most WINDOW in flight, and writes every reply to stdout, because a script runner must write them too.
//
// usage: loop SOCKET COUNT WINDOW [COMMAND]
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "loop: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static void *grow(void *old, size_t size)
{
    void *grown = realloc(old, size);
    if (!grown)
        die("memory");
    return grown;
}

static int sock;

// What has been read from the socket: unprocessed bytes are in in[in_at..in_end], and the first in_seen of them
// contain no newline.
static char *in;
static size_t in_size, in_at, in_end, in_seen;

static char *out;

static void write_all(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(sock, text, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            die("write");
        }
        text += n;
        len -= (size_t)n;
    }
}

// Waits for more bytes, making room for them first.
static void fill(void)
{
    if (in_at > 0) {
        memmove(in, in + in_at, in_end - in_at);
        in_end -= in_at;
        in_at = 0;
    }
    if (in_end == in_size) {
        in_size = in_size ? 2 * in_size : 64 * 1024;
        in = grow(in, in_size);
    }
    ssize_t n;
    do {
        errno = 0;
        n = read(sock, in + in_end, in_size - in_end);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        die("read");
    in_end += (size_t)n;
}

// Returns the next complete line that is not an event, or NULL if there is none yet. Events are the only
// messages with a timestamp, and QEMU writes it first.
static char *buffered_line(size_t *len)
{
    static const char event[] = "{\"timestamp\"";
    for (;;) {
        char *line = in + in_at;
        char *end = NULL;
        if (in_end - in_at > in_seen)
            end = memchr(line + in_seen, '\n', in_end - in_at - in_seen);
        if (!end) {
            in_seen = in_end - in_at;
            return NULL;
        }
        in_seen = 0;
        in_at += (size_t)(end - line) + 1;
        *len = (size_t)(end - line);
        if (*len > 0 && line[*len - 1] == '\r')
            --*len;
        if (*len < sizeof event - 1 || memcmp(line, event, sizeof event - 1) != 0)
            return line;
    }
}

static char *next_line(size_t *len)
{
    char *line;
    while (!(line = buffered_line(len)))
        fill();
    return line;
}

static void negotiate(bool oob)
{
    static const char plain[] = "{\"execute\": \"qmp_capabilities\"}\n";
    static const char with_oob[] =
        "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}\n";
    static const char fine[] = "{\"return\"";
    size_t len;

    next_line(&len); // the greeting
    if (oob)
        write_all(with_oob, sizeof with_oob - 1);
    else
        write_all(plain, sizeof plain - 1);
    char *line = next_line(&len);
    if (len < sizeof fine - 1 || memcmp(line, fine, sizeof fine - 1) != 0) {
        fprintf(stderr, "loop: qmp_capabilities: %.*s\n", (int)len, line);
        exit(1);
    }
}

static unsigned long number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value == 0) {
        fprintf(stderr, "loop: not a count: %s\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: loop SOCKET COUNT WINDOW [COMMAND]\n");
        return 2;
    }
    unsigned long count = number(argv[2]), window = number(argv[3]);

    /* QEMU's monitor reads byte by byte, so spaces cost time, and so would
       ids, which nobody needs: replies come in order. */
    char head[512];
    int head_size = snprintf(head, sizeof head, "{\"execute\":\"%s\"}\n",
                             argc > 4 ? argv[4] : "query-status");
    if (head_size < 0 || (size_t)head_size >= sizeof head) {
        errno = EMSGSIZE;
        die("command");
    }
    size_t head_len = (size_t)head_size;

    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(argv[1]) >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
        die(argv[1]);
    }
    strcpy(addr.sun_path, argv[1]);
    sock = socket(AF_UNIX, SOCK_STREAM, 0);
    if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof addr) < 0)
        die(argv[1]);

    static char stdout_buffer[64 * 1024];
    setvbuf(stdout, stdout_buffer, _IOFBF, sizeof stdout_buffer);
    // Room for a full window of requests, so that a single write fills all free slots.
    out = grow(NULL, window * head_len);

    // One command at a time does not need out-of-band execution. With it, QEMU queues up to eight commands;
    // without it, QEMU reads the next command only after the reply.
    negotiate(window > 1);

    for (unsigned long sent = 0, answered = 0; answered < count;) {
        char *end = out;
        while (sent < count && sent - answered < window) {
            memcpy(end, head, head_len);
            end += head_len;
            sent++;
        }
        if (end > out)
            write_all(out, (size_t)(end - out));

        size_t len;
        char *line = next_line(&len);
        do {
            answered++;
            line[len] = '\n'; // replaces the CR or LF that ended it
            if (fwrite(line, 1, len + 1, stdout) != len + 1)
                die("stdout");
        } while (answered < count && (line = buffered_line(&len)));
    }

    if (fflush(stdout) != 0)
        die("stdout");
    return 0;
}
