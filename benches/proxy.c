// A proxy that only copies bytes, for one client after the other. Whatever stands between a client and QEMU costs as
// much as this: two more processes to wake for each command.
//
// usage: proxy SOCKET-OF-QEMU OWN-SOCKET
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(at.sun_path, path);
    return at;
}

static int unix_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    return fd;
}

// Returns false once either side has gone.
static int copy(int from, int to)
{
    static char bytes[64 << 10];
    ssize_t n = read(from, bytes, sizeof bytes);
    for (ssize_t done = 0; done < n;) {
        ssize_t written = send(to, bytes + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (written < 0)
            return 0;
        done += written;
    }
    return n > 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: proxy SOCKET-OF-QEMU OWN-SOCKET\n");
        return 2;
    }
    struct sockaddr_un vm = address(argv[1]), own = address(argv[2]);
    int listening = unix_socket();
    if (bind(listening, (struct sockaddr *)&own, sizeof own) < 0 || listen(listening, 4) < 0)
        die(argv[2]);
    for (;;) {
        int client = accept(listening, NULL, NULL), qemu = unix_socket();
        if (client < 0)
            die("accept");
        if (connect(qemu, (struct sockaddr *)&vm, sizeof vm) < 0)
            die(argv[1]);
        struct pollfd ends[2] = {{.fd = client, .events = POLLIN}, {.fd = qemu, .events = POLLIN}};
        for (int open = 1; open;) {
            if (poll(ends, 2, -1) < 0)
                die("poll");
            for (int i = 0; i < 2; i++)
                if (ends[i].revents && !copy(ends[i].fd, ends[1 - i].fd))
                    open = 0;
        }
        close(client);
        close(qemu);
    }
}
