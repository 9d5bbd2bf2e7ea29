/* Prints each name's getaddrinfo status and its IPv4 addresses: "NAME STATUS COUNT FIRST". */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    for (int n = 1; n < argc; n++) {
        struct addrinfo *found = NULL;
        char first[INET_ADDRSTRLEN] = "-";
        int count = 0, status = getaddrinfo(argv[n], NULL, &hints, &found);
        for (struct addrinfo *at = found; at; at = at->ai_next)
            if (count++ == 0)
                inet_ntop(AF_INET, &((struct sockaddr_in *)at->ai_addr)->sin_addr, first, sizeof first);
        printf("%s %d %d %s\n", argv[n], status, count, first);
        if (found)
            freeaddrinfo(found);
    }
    return 0;
}
