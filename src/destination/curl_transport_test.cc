#include "destination/curl_transport.h"

#include "base/log.h"
#include "base/testing.h"
#include "destination/curl_text.h"
#include "destination/testing/raw_server.h"
#include "exporter/bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <curl/curl.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace weir::destination {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Peer;
using testing::RawServer;

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class CurlTransportTest : public ::testing::Test {
 protected:
  HttpResponse post(const std::string& url, const std::string& body = "body",
                    std::stop_token stop = {}) {
    if (!transport) {
      transport = make_curl_transport(
          settings, make_curl_pool(),
          std::make_shared<exporter::BandwidthLimiter>(bits_per_second, clock), clock);
    }
    HttpRequest request;
    request.url = url;
    request.body = as_bytes(body);
    request.headers = headers;
    return transport->send(request, std::move(stop));
  }
  // One answer for whatever comes, then the connection ends.
  HttpResponse against(const std::string& answer) {
    RawServer server([&](Peer& peer, int) {
      static_cast<void>(peer.request());
      peer.send(answer);
    });
    return post(server.url());
  }

  SystemClock clock;
  CurlSettings settings;
  std::int64_t bits_per_second = 0;
  std::vector<HttpHeader> headers = {{"Content-Type", "text/plain"}};
  std::unique_ptr<HttpTransport> transport;
};

TEST_F(CurlTransportTest, AnAnswerToHeadEndsBehindItsHeaders) {
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 123456\r\nETag: \"x\"\r\n\r\n");
  });
  transport = make_curl_transport(settings, make_curl_pool(),
                                  std::make_shared<exporter::BandwidthLimiter>(0, clock), clock);
  HttpRequest request;
  request.method = "HEAD";
  request.url = server.url("/key");
  const HttpResponse response = transport->send(request, {});
  EXPECT_TRUE(response.complete()) << response.error;
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("etag"), "\"x\"");
  EXPECT_TRUE(seen.starts_with("HEAD /key HTTP/1.1\r\n")) << seen;
}

TEST_F(CurlTransportTest, SendsTheRequestAsGivenAndReadsTheWholeAnswer) {
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send(
        "HTTP/1.1 201 Created\r\nX-Thing:  a b \r\nDate: now\r\nContent-Length: 5\r\n\r\nhello");
  });
  const HttpResponse response = post(server.url("/a/../b//c?x=%20"), std::string("\0\xff", 2));
  EXPECT_TRUE(response.complete()) << response.error;
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.header("x-thing"), "a b");
  EXPECT_TRUE(seen.starts_with("POST /a/../b//c?x=%20 HTTP/1.1\r\n")) << seen;
  EXPECT_TRUE(seen.ends_with(std::string("\r\n\r\n\0\xff", 6)));
  EXPECT_NE(seen.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_EQ(seen.find("Expect"), std::string::npos);
}

// A key of S3 in characters that take nine each, and an upload's id behind it.
TEST_F(CurlTransportTest, AddressesMayBeAsLongAsKeysMakeThem) {
  std::string key;
  while (key.size() < 3072) key += "%C3%A9";
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send(kOk);
  });
  const std::string target = "/bucket/" + key + "?partNumber=1&uploadId=" + std::string(3072, 'u');
  const HttpResponse response = post(server.url(target));
  EXPECT_TRUE(response.complete()) << response.error;
  EXPECT_TRUE(seen.starts_with("POST " + target + " HTTP/1.1\r\n"));
  const HttpResponse refused = post(server.url("/" + std::string(16'384, 'a')));
  EXPECT_EQ(refused.status, 0);
  EXPECT_NE(refused.error.find("longer than 16384 bytes"), std::string::npos) << refused.error;
}

TEST_F(CurlTransportTest, AHeaderThatIsBlankIsSentAllTheSame) {
  headers = {{"X-Empty", ""}, {"X-Blank", " \t "}, {"X-Full", " a  b "}};
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send(kOk);
  });
  EXPECT_TRUE(post(server.url()).complete());
  EXPECT_NE(seen.find("\r\nX-Empty:\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\r\nX-Blank:\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("a  b"), std::string::npos) << seen;
}

TEST_F(CurlTransportTest, LargeBodiesNeedNoPermission) {
  std::size_t bytes = 0;
  bool expects = true;
  RawServer server([&](Peer& peer, int) {
    const std::string seen = peer.request();
    expects = seen.find("100-continue") != std::string::npos;
    bytes = seen.size() - seen.find("\r\n\r\n") - 4;
    peer.send(kOk);
  });
  EXPECT_TRUE(post(server.url(), std::string(5 << 20, 'x')).complete());
  EXPECT_EQ(bytes, 5U << 20U);
  EXPECT_FALSE(expects);
}

// As much as is asked for, from where it is asked; optionally only up to some place.
class CountedSource final : public BodySource {
 public:
  CountedSource(std::int64_t size, std::int64_t readable) : size_(size), readable_(readable) {}
  [[nodiscard]] std::int64_t size() const override { return size_; }
  Result<void> read(std::int64_t offset, MutableBytes to) override {
    largest_ = std::max(largest_, to.size());
    if (offset + static_cast<std::int64_t>(to.size()) > readable_) {
      return fail(Errc::kIo, "the disk is gone");
    }
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<std::byte>('a' + (offset + static_cast<std::int64_t>(i)) % 26);
    }
    return {};
  }
  [[nodiscard]] std::size_t largest() const { return largest_; }

 private:
  std::int64_t size_;
  std::int64_t readable_;
  std::size_t largest_ = 0;
};

TEST_F(CurlTransportTest, ABodyThatIsNotInMemoryIsReadPieceByPiece) {
  constexpr std::int64_t kSize = 3'000'001;
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send(kOk);
  });
  transport = make_curl_transport(settings, make_curl_pool(),
                                  std::make_shared<exporter::BandwidthLimiter>(0, clock), clock);
  CountedSource source(kSize, kSize);
  HttpRequest request;
  request.method = "PUT";
  request.url = server.url();
  request.source = &source;
  const HttpResponse response = transport->send(request, {});
  EXPECT_TRUE(response.complete()) << response.error;
  const std::string body = seen.substr(seen.find("\r\n\r\n") + 4);
  ASSERT_EQ(body.size(), static_cast<std::size_t>(kSize));
  for (std::size_t i = 0; i < body.size(); ++i) ASSERT_EQ(body[i], 'a' + static_cast<int>(i % 26));
  EXPECT_LE(source.largest(), std::size_t{128 * 1024});

  CountedSource broken(kSize, 1'000'000);
  request.source = &broken;
  const HttpResponse none = transport->send(request, {});
  EXPECT_FALSE(none.complete());
  EXPECT_EQ(none.error, "the disk is gone");
  EXPECT_FALSE(none.connection_failed) << "the network did nothing wrong";
}

TEST_F(CurlTransportTest, NoContentTypeIsMadeUp) {
  headers.clear();
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send(kOk);
  });
  EXPECT_TRUE(post(server.url()).complete());
  EXPECT_EQ(seen.find("Content-Type"), std::string::npos) << seen;
}

TEST_F(CurlTransportTest, ConnectionsAreKept) {
  RawServer server([&](Peer& peer, int) {
    while (!peer.request().empty()) peer.send(kOk);
  });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(post(server.url()).complete());
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, AKeptConnectionThatDiedIsReplacedAndTheBodySentWhole) {
  std::string second;
  RawServer server([&](Peer& peer, int connection) {
    if (connection == 0) {
      static_cast<void>(peer.request());
      peer.send(kOk);
      static_cast<void>(peer.request());  // taken, but never answered
    } else {
      second = peer.request();
      peer.send(kOk);
    }
  });
  EXPECT_TRUE(post(server.url()).complete());
  EXPECT_TRUE(post(server.url(), "the whole body").complete());
  EXPECT_TRUE(second.ends_with("the whole body"));
}

TEST_F(CurlTransportTest, RefusedConnectionsAreNoAnswerAtAll) {
  std::string url;
  {
    RawServer server([](Peer&, int) {});
    url = server.url();
  }
  const HttpResponse response = post(url);
  EXPECT_TRUE(response.connection_failed);
  EXPECT_EQ(response.status, 0);
  EXPECT_NE(response.error.find("connect"), std::string::npos) << response.error;
}

TEST_F(CurlTransportTest, UnknownNamesAreNoAnswerAtAll) {
  EXPECT_TRUE(post("http://name.invalid/").connection_failed);
}

TEST_F(CurlTransportTest, ClosingOrResettingInsteadOfAnsweringIsNoAnswer) {
  for (const bool hard : {false, true}) {
    RawServer server([&](Peer& peer, int) {
      static_cast<void>(peer.request());
      if (hard) peer.reset();
    });
    const HttpResponse response = post(server.url());
    EXPECT_FALSE(response.complete());
    EXPECT_TRUE(response.connection_failed) << response.error;
    EXPECT_EQ(server.connections(), 1) << "a fresh connection is not tried twice";
  }
}

TEST_F(CurlTransportTest, EveryCutOfAnAnswerIsNoticed) {
  const std::string whole = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (const std::string& answer : {whole, chunked}) {
    // A status line that is cut inside its first word looks like anything; start behind it.
    for (std::size_t length = 9; length < answer.size(); length += 3) {
      const HttpResponse response = against(answer.substr(0, length));
      EXPECT_FALSE(response.complete()) << length << ": " << log::escaped(answer.substr(0, length));
    }
    EXPECT_TRUE(against(answer).complete());
  }
}

TEST_F(CurlTransportTest, TrailersBehindChunksAreNoObstacle) {
  const HttpResponse response = against(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_TRUE(response.complete()) << response.error;
  EXPECT_EQ(response.body, "ok");
}

TEST_F(CurlTransportTest, GarbageIsNotAnAnswer) {
  for (const std::string garbage :
       {"hello", "\x16\x03\x01\x02", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/9.9 abc\r\n\r\n",
        "HTTP/1.1\r\n\r\n", "220 mail.example ESMTP\r\n", "<html>hello</html>"}) {
    const HttpResponse response = against(garbage);
    EXPECT_FALSE(response.complete()) << garbage;
    EXPECT_FALSE(response.error.empty());
  }
}

TEST_F(CurlTransportTest, HeadersAreBounded) {
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 2000; ++i)
    many += "X-" + std::to_string(i) + ": " + std::string(50, 'x') + "\r\n";
  const HttpResponse response = against(many + "Content-Length: 2\r\n\r\nok");
  EXPECT_FALSE(response.complete());
  EXPECT_FALSE(response.connection_failed);
  EXPECT_NE(response.error.find("headers"), std::string::npos) << response.error;
  EXPECT_FALSE(against("HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'x')).complete());
}

TEST_F(CurlTransportTest, BodiesAreBounded) {
  settings.response_bytes_max = 1000;
  EXPECT_TRUE(against("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'))
                  .complete());
  const HttpResponse response =
      against("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'));
  EXPECT_FALSE(response.complete());
  EXPECT_LE(response.body.size(), 1000U);
}

TEST_F(CurlTransportTest, RedirectsAreAnswersLikeOthers) {
  bool followed = false;
  RawServer server([&](Peer& peer, int connection) {
    followed = connection > 0;
    static_cast<void>(peer.request());
    peer.send("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    if (!peer.request().empty()) followed = true;
  });
  const HttpResponse response = post(server.url());
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(response.header("location"), "/elsewhere");
  transport.reset();
  EXPECT_FALSE(followed);
}

TEST_F(CurlTransportTest, InterimAnswersAreNotTheAnswer) {
  const HttpResponse response = against(
      "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("x-interim"), "");
}

TEST_F(CurlTransportTest, ASilentServerIsLeftAfterTheStallTimeout) {
  settings.stall_timeout_ms = 200;
  RawServer server([](Peer& peer, int) {
    static_cast<void>(peer.request());
    peer.hang();
  });
  const auto begin = std::chrono::steady_clock::now();
  const HttpResponse response = post(server.url());
  EXPECT_TRUE(response.connection_failed);
  EXPECT_NE(response.error.find("stall"), std::string::npos) << response.error;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
}

TEST_F(CurlTransportTest, AServerThatStopsInTheMiddleIsLeftToo) {
  settings.stall_timeout_ms = 200;
  RawServer server([](Peer& peer, int) {
    static_cast<void>(peer.request());
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    peer.hang();
  });
  const HttpResponse response = post(server.url());
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(response.complete());
}

TEST_F(CurlTransportTest, StopEndsAHangingRequestSoon) {
  std::stop_source source;
  RawServer server([&](Peer& peer, int) {
    static_cast<void>(peer.request());
    source.request_stop();
    peer.hang();
  });
  const auto begin = std::chrono::steady_clock::now();
  const HttpResponse response = post(server.url(), "x", source.get_token());
  EXPECT_TRUE(response.cancelled);
  EXPECT_FALSE(response.connection_failed);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
}

TEST_F(CurlTransportTest, TheBandwidthLimitPacesTheBodyAndDoesNotCountAsAStall) {
  bits_per_second = 8 * 100'000;  // burst of one second: 100,000 bytes, then 100,000 a second
  settings.stall_timeout_ms = 200;
  RawServer server([](Peer& peer, int) {
    static_cast<void>(peer.request());
    peer.send(kOk);
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(post(server.url(), std::string(150'000, 'x')).complete());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(300));
}

TEST_F(CurlTransportTest, StopEndsTheWaitForBandwidth) {
  bits_per_second = 8;
  std::stop_source source;
  source.request_stop();
  RawServer server([](Peer& peer, int) { static_cast<void>(peer.request()); });
  EXPECT_TRUE(post(server.url(), std::string(100'000, 'x'), source.get_token()).cancelled);
}

TEST_F(CurlTransportTest, TargetsThatClientsChoseAreCheckedWhenConnecting) {
  settings.client_chosen_target = true;
  RawServer server([](Peer& peer, int) {
    static_cast<void>(peer.request());
    peer.send(kOk);
  });
  EXPECT_TRUE(post(server.url()).complete()) << "loopback is allowed";
  const HttpResponse response = post("http://169.254.169.254/latest/meta-data");
  EXPECT_FALSE(response.complete());
  EXPECT_NE(response.error.find("link-local"), std::string::npos) << response.error;
}

TEST_F(CurlTransportTest, WeirsOwnPortIsNoTargetForClients) {
  int requests = 0;
  RawServer server([&](Peer& peer, int) { requests += peer.request().empty() ? 0 : 1; });
  settings.client_chosen_target = true;
  settings.own_ports = {server.port()};
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const std::string url = std::string("http://") + host + ":" + std::to_string(server.port());
    EXPECT_FALSE(post(url).complete());
  }
  EXPECT_EQ(requests, 0);
}

TEST_F(CurlTransportTest, OtherProtocolsAreNotSpoken) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"}) {
    const HttpResponse response = post(url);
    EXPECT_EQ(response.status, 0);
    EXPECT_FALSE(response.error.empty());
    EXPECT_TRUE(response.body.empty());
  }
}

TEST_F(CurlTransportTest, TheSameHandlesServeManyTransports) {
  const auto pool = make_curl_pool();
  const auto limiter = std::make_shared<exporter::BandwidthLimiter>(0, clock);
  RawServer server([&](Peer& peer, int) {
    while (!peer.request().empty()) peer.send(kOk);
  });
  for (int i = 0; i < 20; ++i) {
    auto one = make_curl_transport(settings, pool, limiter, clock);
    HttpRequest request;
    request.url = server.url();
    EXPECT_TRUE(one->send(request, {}).complete());
  }
  EXPECT_EQ(server.connections(), 1) << "ten thousand exports need few connections";
}

// A new key and its certificate in one file; the key encrypted with `pass_phrase`.
std::string encrypted_pair(const char* pass_phrase) {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  BIO* pem = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(pem, certificate);
  PEM_write_bio_PKCS8PrivateKey(pem, key, EVP_aes_256_cbc(), pass_phrase,
                                static_cast<int>(std::strlen(pass_phrase)), nullptr, nullptr);
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(pem, &data);
  std::string text(data, static_cast<std::size_t>(bytes));
  BIO_free(pem);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return text;
}

TEST_F(CurlTransportTest, AnEncryptedKeyIsAnErrorAndNoQuestionOnTheTerminal) {
  const weir::testing::TemporaryDirectory directory;
  settings.client_certificate_file = directory.write("pair.pem", encrypted_pair("hunter2"));
  settings.client_key_file = settings.client_certificate_file;
  RawServer server([](Peer& peer, int) { static_cast<void>(peer.request()); });
  std::string url = server.url();
  url.replace(0, 4, "https");
  const HttpResponse response = post(url);
  EXPECT_TRUE(
      response.error.ends_with("is the key encrypted, or does it not belong to the "
                               "certificate?"))
      << response.error;
}

class Proxied : public CurlTransportTest {
 protected:
  void TearDown() override {
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("no_proxy");
  }
};

TEST_F(Proxied, PlainRequestsGoThroughTheProxyOfTheEnvironment) {
  std::string seen;
  RawServer proxy([&](Peer& peer, int) {
    seen = peer.request();
    peer.send(kOk);
  });
  setenv("http_proxy", proxy.url().c_str(), 1);
  EXPECT_TRUE(post("http://receiver.example/in").complete());
  EXPECT_TRUE(seen.starts_with("POST http://receiver.example/in HTTP/1.1\r\n")) << seen;
}

TEST_F(Proxied, CredentialsAreNotShownToAProxyThatTunnels) {
  headers.push_back({"Authorization", "secret"});
  std::string seen;
  RawServer proxy([&](Peer& peer, int) {
    seen = peer.request();
    peer.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  });
  setenv("https_proxy", proxy.url().c_str(), 1);
  const HttpResponse response = post("https://receiver.example/in");
  EXPECT_TRUE(seen.starts_with("CONNECT receiver.example:443 HTTP/1.1\r\n")) << seen;
  EXPECT_EQ(seen.find("secret"), std::string::npos);
  EXPECT_EQ(response.status, 407);
  EXPECT_TRUE(response.complete()) << "a refusal by the proxy is for a person to mend";
}

TEST_F(Proxied, APasswordThatBreaksTheVariableIsNotShown) {
  for (const char* proxy :
       {"http://weir:hunter2@secret@127.0.0.1:1", "ftp://weir:hunter2secret@127.0.0.1:1",
        "http://weir:hunter2secret@127.0.0.1:99999", "http://weir:hunter2secret@[::1",
        "http://weir:hunter2 secret@127.0.0.1:1", "weir:hunter2@secret@127.0.0.1:1"}) {
    setenv("http_proxy", proxy, 1);
    const std::string error = post("http://receiver.example/in").error;
    EXPECT_FALSE(error.empty()) << proxy;
    EXPECT_EQ(error.find("hunter2"), std::string::npos) << error;
    EXPECT_EQ(error.find("secret"), std::string::npos) << error;
  }
  setenv("http_proxy", "http://weir:hunter2secret@[::1", 1);
  EXPECT_EQ(post("http://receiver.example/in").error,
            "the proxy in http_proxy, HTTPS_PROXY or ALL_PROXY is not a URL that can be used; "
            "percent-encode special characters of its user name and password");
}

TEST_F(Proxied, TheTextOfAFailureShowsNothingOfAUserOfTheProxy) {
  setenv("http_proxy", "http://weir:hunter2@secret@proxy.example:1", 1);
  EXPECT_EQ(curl_failure_text(CURLE_COULDNT_RESOLVE_PROXY,
                              "Could not resolve proxy: secret@proxy.example"),
            "Could not resolve proxy: ***proxy.example");
  EXPECT_EQ(curl_failure_text(CURLE_COULDNT_CONNECT, "to weir:hunter2@secret failed"),
            "to *** failed");
  setenv("http_proxy", "http://proxy.example:1", 1);
  EXPECT_EQ(curl_failure_text(CURLE_COULDNT_CONNECT, "to proxy.example failed"),
            "to proxy.example failed");
}

TEST_F(Proxied, ExceptionsAreHonoured) {
  RawServer server([](Peer& peer, int) {
    static_cast<void>(peer.request());
    peer.send(kOk);
  });
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("no_proxy", "127.0.0.1", 1);
  EXPECT_TRUE(post(server.url()).complete());
}

}  // namespace
}  // namespace weir::destination
