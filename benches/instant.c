// A QMP server that replies immediately, to measure a client that never waits for QEMU. It speaks just enough
// of the protocol: a greeting, then the same reply to every line, with the request's id. It writes the replies
// to everything that one read returned at once. Serves one client at a time, until killed.
//
// usage: instant SOCKET
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING                                                               \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, "         \
    "\"major\": 7}, \"package\": \"instant\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define REPLY                                                                  \
    "{\"return\": {\"status\": \"running\", \"singlestep\": false, "           \
    "\"running\": true}"

enum { LINE_MAX_LEN = 64 * 1024, OUT_LEN = 4 * LINE_MAX_LEN };

static char in[LINE_MAX_LEN];
static char out[OUT_LEN];
static size_t out_len;

static void die(const char *what)
{
    fprintf(stderr, "instant: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void put(const char *text, size_t len)
{
    memcpy(out + out_len, text, len);
    out_len += len;
}

static bool flush(int fd)
{
    for (size_t done = 0; done < out_len;) {
        ssize_t n = write(fd, out + done, out_len - done);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return false; // the client has left
        }
        done += (size_t)n;
    }
    out_len = 0;
    return true;
}

// Returns the place after the string that starts with the quote at `at`.
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : end;
}

// Finds the value of the request's own "id", not of an "id" among its arguments.
static size_t find_id(const char *at, const char *end, const char **id)
{
    int depth = 0;
    const char *start = NULL; // of the id's value, once its key has passed

    while (at < end) {
        char c = *at;
        if (start && depth == 1 && (c == ',' || c == '}')) {
            *id = start;
            return (size_t)(at - start);
        }
        if (c == '"') {
            const char *string = at;
            at = skip_string(at, end);
            if (depth == 1 && !start && at - string == 4 && memcmp(string, "\"id\"", 4) == 0) {
                const char *colon = at;
                while (colon < end && *colon == ' ')
                    colon++;
                if (colon < end && *colon == ':') { // else it is a value
                    for (at = colon + 1; at < end && *at == ' ';)
                        at++;
                    start = at;
                }
            }
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        at++;
    }
    return 0;
}

static bool answer(int fd, const char *line, const char *end)
{
    const char *id = NULL;
    size_t id_len = find_id(line, end, &id);

    if (sizeof out - out_len < sizeof REPLY + id_len + 16 && !flush(fd))
        return false;
    put(REPLY, sizeof REPLY - 1);
    if (id_len > 0) {
        put(", \"id\": ", 8);
        put(id, id_len);
    }
    put("}\r\n", 3);
    return true;
}

// Reads what has arrived, polling for a while before it sleeps: waking a sleeper takes longer than answering a
// whole window of requests, and would measure the scheduler instead of the client. Yielding between polls
// leaves the processor to a client that shares it.
static ssize_t receive(int fd, char *to, size_t room)
{
    for (int looks = 0; looks < 2000; looks++) {
        ssize_t n = recv(fd, to, room, MSG_DONTWAIT);
        if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
            return n;
        sched_yield();
    }
    return recv(fd, to, room, 0);
}

static void serve(int fd)
{
    size_t len = 0; // of the incomplete line at the end of the last read

    out_len = 0;
    put(GREETING, sizeof GREETING - 1);
    while (flush(fd) && len < sizeof in) {
        ssize_t n = receive(fd, in + len, sizeof in - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        const char *line = in, *limit = in + len + n, *newline;
        while ((newline = memchr(line, '\n', (size_t)(limit - line)))) {
            if (memchr(line, '{', (size_t)(newline - line)) && !answer(fd, line, newline))
                return;
            line = newline + 1;
        }
        len = (size_t)(limit - line);
        memmove(in, line, len);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: instant SOCKET\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);

    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(argv[1]) >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
        die(argv[1]);
    }
    strcpy(addr.sun_path, argv[1]);
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (server < 0 || bind(server, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(server, 8) < 0)
        die(argv[1]);

    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            die("accept");
        }
        serve(client);
        close(client);
    }
}
