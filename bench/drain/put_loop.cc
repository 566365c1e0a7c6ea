// The least that could send the same bytes: a loop of libcurl PUTs of one body over one connection.
//
// usage: put_loop URL BODY_BYTES COUNT      prints seconds of wall clock and of processor time

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <curl/curl.h>
#include <string>
#include <sys/resource.h>

namespace {

std::size_t drop(char*, std::size_t size, std::size_t count, void*) { return size * count; }

double processor_seconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: put_loop URL BODY_BYTES COUNT\n", stderr);
    return 2;
  }
  const std::string body(std::strtoul(argv[2], nullptr, 10), 'x');
  const long count = std::strtol(argv[3], nullptr, 10);
  CURL* const curl = curl_easy_init();
  curl_slist* const headers = curl_slist_append(nullptr, "Expect:");
  curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
  const auto begun = std::chrono::steady_clock::now();
  for (long i = 0; i < count; ++i) {
    const CURLcode result = curl_easy_perform(curl);
    if (result != CURLE_OK) {
      std::fprintf(stderr, "PUT: %s\n", curl_easy_strerror(result));
      return 1;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%.6f %.6f\n", took.count(), processor_seconds());
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
}
