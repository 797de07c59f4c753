/* A runtime in C on bare sockets: computes in rounds, fails for {"fail": 1}, exits for {"exit": 1}. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char answer[65536];

static void die(const char *why) {
  perror(why);
  exit(2);
}

/* Sends a request on a connection of its own and leaves the whole answer in `answer`. */
static char *call(const char *request) {
  const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
  const char *colon = api ? strchr(api, ':') : NULL;
  if (!colon) die("no AWS_LAMBDA_RUNTIME_API");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  if (write(fd, request, strlen(request)) < 0) die("write");
  size_t length = 0;
  ssize_t count;
  while ((count = read(fd, answer + length, sizeof answer - 1 - length)) > 0) length += (size_t)count;
  close(fd);
  answer[length] = 0;
  return answer;
}

static void post(const char *id, const char *what, const char *body) {
  char request[4096];
  snprintf(request, sizeof request,
           "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
           id, what, strlen(body), body);
  call(request);
}

int main(void) {
  static const char name[] = "lambda-runtime-aws-request-id: ";
  for (;;) {
    char *event = call("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nConnection: close\r\n\r\n");
    char id[64] = "", body[256];
    for (char *line = event; line; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL)
      if (!strncasecmp(line, name, sizeof name - 1)) sscanf(line + sizeof name - 1, "%63[^\r]", id);
    if (strstr(event, "\"exit\"")) return 9;
    if (strstr(event, "\"fail\"")) {
      post(id, "error", "{\"errorType\": \"Error\", \"errorMessage\": \"no such order\"}");
      continue;
    }
    char *rounds = strstr(event, "\"rounds\":");
    uint64_t state = 88172645463325252ULL;
    for (long left = rounds ? atol(rounds + 9) * 100 : 0; left > 0; left--) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
    }
    snprintf(body, sizeof body, "{\"state\": %llu}", (unsigned long long)state);
    post(id, "response", body);
  }
}
