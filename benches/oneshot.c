// A minimal QMP client: it sends one command and prints the reply. The one-shot figure is compared with it, so
// it does only what the protocol requires.
//
// usage: oneshot SOCKET [COMMAND]
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "oneshot: %s: %s\n", what, errno ? strerror(errno) : "unexpected end");
    exit(1);
}

static void send_command(int fd, const char *name)
{
    char text[512];
    int len = snprintf(text, sizeof text, "{\"execute\": \"%s\"}\n", name);
    if (len < 0 || (size_t)len >= sizeof text) {
        errno = EMSGSIZE;
        die(name);
    }
    for (int done = 0; done < len;) {
        ssize_t n = write(fd, text + done, (size_t)(len - done));
        if (n < 0 && errno != EINTR)
            die("write");
        if (n > 0)
            done += (int)n;
    }
}

// Stores the next line that is not an event in *line. Events are the only messages with a timestamp, and QEMU
// writes it first.
static ssize_t next_reply(FILE *from, char **line, size_t *size)
{
    static const char event[] = "{\"timestamp\"";
    ssize_t len;
    do {
        errno = 0;
        len = getline(line, size, from);
        if (len < 0)
            die("read");
    } while (strncmp(*line, event, sizeof event - 1) == 0);
    return len;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: oneshot SOCKET [COMMAND]\n");
        return 2;
    }

    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(argv[1]) >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
        die(argv[1]);
    }
    strcpy(addr.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        die(argv[1]);
    FILE *from = fdopen(fd, "r");
    if (!from)
        die("fdopen");

    char *line = NULL;
    size_t size = 0;
    next_reply(from, &line, &size); // the greeting
    send_command(fd, "qmp_capabilities");
    next_reply(from, &line, &size);
    send_command(fd, argc > 2 ? argv[2] : "query-status");
    ssize_t len = next_reply(from, &line, &size);

    if (fwrite(line, 1, (size_t)len, stdout) != (size_t)len || fflush(stdout) != 0)
        die("stdout");
    return 0;
}
