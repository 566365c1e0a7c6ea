// The least that could send the same bytes: a loop of libcurl PUTs over one connection, of the
// bodies that kinesis_sink keeps, one after the other.
//
// usage: put_loop URL COUNT      prints seconds of wall clock and of processor time

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <curl/curl.h>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace {

std::size_t drop(char*, std::size_t size, std::size_t count, void*) { return size * count; }

std::size_t keep(char* data, std::size_t size, std::size_t count, void* to) {
  static_cast<std::string*>(to)->append(data, size * count);
  return size * count;
}

double processor_seconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

bool performed(CURL* curl, const char* what) {
  const CURLcode result = curl_easy_perform(curl);
  if (result != CURLE_OK) std::fprintf(stderr, "%s: %s\n", what, curl_easy_strerror(result));
  return result == CURLE_OK;
}

std::vector<std::string> apart(const std::string& text) {
  std::vector<std::string> bodies;
  std::uint64_t size = 0;
  for (std::size_t at = 0; at + sizeof size <= text.size();) {
    std::memcpy(&size, text.data() + at, sizeof size);
    at += sizeof size;
    bodies.push_back(text.substr(at, size));
    at += size;
  }
  return bodies;
}

bool send_all(CURL* curl, const std::vector<std::string>& bodies, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& body = bodies[i % bodies.size()];
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    if (!performed(curl, "PUT")) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: put_loop URL COUNT\n", stderr);
    return 2;
  }
  const std::string url = argv[1];
  const std::size_t count = std::strtoul(argv[2], nullptr, 10);
  CURL* const curl = curl_easy_init();
  std::string text;
  curl_easy_setopt(curl, CURLOPT_URL, (url + "bodies").c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
  if (!performed(curl, "ask for the bodies")) return 1;
  const std::vector<std::string> bodies = apart(text);
  if (bodies.empty()) {
    std::fputs("the sink has kept no bodies\n", stderr);
    return 1;
  }

  curl_slist* const headers = curl_slist_append(nullptr, "Expect:");
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
  if (!send_all(curl, bodies, bodies.size())) return 1;  // warm
  const double processor = processor_seconds();
  const auto begun = std::chrono::steady_clock::now();
  if (!send_all(curl, bodies, count)) return 1;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%.6f %.6f\n", took.count(), processor_seconds() - processor);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
}
