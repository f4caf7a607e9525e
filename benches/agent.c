// The bare loop that the copying of files out of and into a guest is compared with. It only moves messages: it neither
// decodes what it reads nor encodes what it writes, and has at most WINDOW commands in flight.
//
// usage: agent SOCKET read|write GUESTPATH PIECE COUNT WINDOW
#define _POSIX_C_SOURCE 200809L

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int sock;
static char in[1 << 16];
static size_t in_at, in_end;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void send_all(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(sock, text, len);
        if (n <= 0)
            die("write");
        text += n;
        len -= (size_t)n;
    }
}

// Reads up to the end of a line. The first bytes of the line are left in HEAD. Returns its length.
static size_t read_line(char *head, size_t size)
{
    size_t len = 0;
    for (;;) {
        if (in_at == in_end) {
            ssize_t n = read(sock, in, sizeof in);
            if (n <= 0)
                die("read");
            in_at = 0;
            in_end = (size_t)n;
        }
        char *from = in + in_at;
        char *newline = memchr(from, '\n', in_end - in_at);
        size_t part = newline ? (size_t)(newline - from) : in_end - in_at;
        for (size_t i = 0; i < part && len + i < size - 1; i++)
            head[len + i] = from[i];
        len += part;
        in_at += part + (newline != NULL);
        if (newline) {
            head[len < size - 1 ? len : size - 1] = '\0';
            return len;
        }
    }
}

static void expect_return(const char *head)
{
    if (strncmp(head, "{\"return\"", 9) != 0) {
        fprintf(stderr, "agent: %s\n", head);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: agent SOCKET read|write GUESTPATH PIECE COUNT WINDOW\n");
        return 2;
    }
    bool reads = strcmp(argv[2], "read") == 0;
    size_t piece = strtoul(argv[4], NULL, 10);
    unsigned long count = strtoul(argv[5], NULL, 10), window = strtoul(argv[6], NULL, 10);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(argv[1]) >= sizeof address.sun_path) {
        fprintf(stderr, "agent: the path is too long\n");
        return 2;
    }
    strcpy(address.sun_path, argv[1]);
    sock = socket(AF_UNIX, SOCK_STREAM, 0);
    if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof address) < 0)
        die(argv[1]);

    char head[256], text[1024];
    int len = snprintf(text, sizeof text,
                       "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"%s\",\"mode\":\"%s\"}}\n",
                       argv[3], reads ? "r" : "w");
    send_all(text, (size_t)len);
    read_line(head, sizeof head);
    expect_return(head);
    long handle = strtol(strchr(head, ':') + 1, NULL, 10);

    // The same message again and again.
    size_t encoded = (piece + 2) / 3 * 4;
    char *message = malloc(encoded + 256);
    if (!message)
        die("memory");
    size_t size;
    if (reads) {
        size = (size_t)sprintf(message, "{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":%ld,\"count\":%zu}}\n",
                               handle, piece);
    } else {
        size = (size_t)sprintf(message, "{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":%ld,\"buf-b64\":\"",
                               handle);
        for (size_t i = 0; i < encoded; i++)
            message[size + i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[i * 31 % 64];
        memset(message + size + encoded - (3 - piece % 3) % 3, '=', (3 - piece % 3) % 3);
        size += encoded;
        size += (size_t)sprintf(message + size, "\"}}\n");
    }

    unsigned long sent = 0, received = 0;
    size_t total = 0;
    while (received < count) {
        while (sent < count && sent - received < window) {
            send_all(message, size);
            sent++;
        }
        total += read_line(head, sizeof head);
        expect_return(head);
        received++;
    }
    len = snprintf(text, sizeof text, "{\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":%ld}}\n", handle);
    send_all(text, (size_t)len);
    read_line(head, sizeof head);
    printf("%zu\n", total);
    return 0;
}
