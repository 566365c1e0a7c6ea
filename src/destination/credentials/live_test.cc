// Credentials over real connections: mutual TLS with a certificate made for the test, an endpoint
// that stalls, one that redirects, and keys that AWS stops accepting in the middle.

#include "destination/credentials/fakes.h"
#include "destination/credentials/hub.h"
#include "destination/options.h"
#include "destination/testing/raw_server.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace weir::destination::credentials {
namespace {

using destination::testing::Peer;
using destination::testing::RawServer;
using testing::container_json;
using testing::kSecret;
using testing::TemporaryDirectory;

// A program of the system that ends with the test.
class Helper {
 public:
  explicit Helper(const std::vector<std::string>& arguments) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      std::vector<char*> argv;
      for (const auto& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
      argv.push_back(nullptr);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ::fdopen(ends[0], "r");
  }
  ~Helper() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (output_ != nullptr) std::fclose(output_);
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  std::string line() {
    std::array<char, 512> text{};
    if (output_ == nullptr || std::fgets(text.data(), text.size(), output_) == nullptr) return {};
    std::string read = text.data();
    while (!read.empty() && read.back() == '\n') read.pop_back();
    return read;
  }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
  std::FILE* output_ = nullptr;
};

class Live : public ::testing::Test {
 protected:
  Live() { aws.environment["AWS_EC2_METADATA_DISABLED"] = "true"; }
  std::shared_ptr<Hub> hub() { return make_credentials(aws, transport, clock, metrics, 1); }
  std::string id_or_error() {
    const auto all = hub();
    const auto set = (*all->for_role({}))->await({});
    return set ? set->access_key_id : set.error().what;
  }
  SystemClock clock;
  metrics::Registry metrics;
  AwsOptions aws;
  TransportOptions transport;
  TemporaryDirectory directory;
};

class MutualTls : public Live {
 protected:
  void SetUp() override {
    const std::string script = R"(
set -e
cd "$0"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca
for name in server device; do
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > $name.ext
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem -days 2 -extfile $name.ext
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout stranger.key -out stranger.pem -days 2 -subj /CN=stranger
)";
    Helper made({"/bin/sh", "-c", "exec 2>/dev/null >/dev/null\n" + script, directory.path()});
    ASSERT_EQ(made.wait(), 0) << "openssl cannot make a test CA";
    server = std::make_unique<Helper>(std::vector<std::string>{"/usr/bin/python3", "-c", R"(
import http.server, json, ssl, sys
d = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        name = dict(x[0] for x in self.connection.getpeercert()['subject'])['commonName']
        good = self.path == '/role-aliases/GatewayAlias/credentials' and name == 'device'
        good = good and self.headers.get('x-amzn-iot-thingname') == 'gw-1'
        body = json.dumps({'credentials': {'accessKeyId': 'IOT', 'secretAccessKey': 'SECRETs',
            'sessionToken': 'SECRETt', 'expiration': '2999-01-01T00:00:00Z'}} if good else {'message': 'no'})
        self.send_response(200 if good else 403)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_): pass
class Server(http.server.HTTPServer):
    def handle_error(self, *_): pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(d + '/server.pem', d + '/server.key')
context.load_verify_locations(d + '/ca.pem')
context.verify_mode = ssl.CERT_REQUIRED
server = Server(('127.0.0.1', 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
)",
                                                               directory.path()});
    const std::string port = server->line();
    ASSERT_FALSE(port.empty());
    aws.credential_source = CredentialSource::kIot;
    aws.iot = {
        "https://localhost:" + port,  "GatewayAlias",          "gw-1", directory.path("device.pem"),
        directory.path("device.key"), directory.path("ca.pem")};
  }
  std::unique_ptr<Helper> server;
};

TEST_F(MutualTls, TheCertificateOfTheDeviceIsExchangedForCredentials) {
  EXPECT_EQ(id_or_error(), "IOT");
}

TEST_F(MutualTls, WithoutTrustOrWithAStrangersCertificateThereAreNone) {
  aws.iot.ca_file.clear();
  const std::string untrusted = id_or_error();
  EXPECT_NE(untrusted.find("certificate"), std::string::npos) << untrusted;
  aws.iot.ca_file = directory.path("ca.pem");
  aws.iot.certificate_file = directory.path("stranger.pem");
  aws.iot.private_key_file = directory.path("stranger.key");
  const std::string stranger = id_or_error();
  EXPECT_NE(stranger, "IOT");
  EXPECT_NE(stranger.find("GatewayAlias"), std::string::npos) << stranger;
}

TEST_F(MutualTls, AnotherAliasIsRefusedWithWhatToLookAt) {
  aws.iot.role_alias = "Other";
  EXPECT_NE(id_or_error().find("does the role alias exist?"), std::string::npos);
}

class ContainerLive : public Live {
 protected:
  void use(const RawServer& server) {
    aws.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] =
        server.url("/2016-11-01/credentialprovider/");
    aws.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "SECRETsvcuid";
  }
  static std::string http(const std::string& status, const std::string& body) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n\r\n" + body;
  }
};

TEST_F(ContainerLive, GivesCredentialsToWhoeverShowsTheToken) {
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.request();
    peer.send(http("200 OK", container_json("TES", "2999-01-01T00:00:00Z")));
  });
  use(server);
  EXPECT_EQ(id_or_error(), "TES");
  EXPECT_TRUE(seen.starts_with("GET /2016-11-01/credentialprovider/ HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("\r\nAuthorization: SECRETsvcuid\r\n"), std::string::npos);
}

TEST_F(ContainerLive, ARedirectIsNotFollowedAndTheTokenGoesNowhereElse) {
  RawServer elsewhere([](Peer& peer, int) { peer.request(); });
  RawServer server([&](Peer& peer, int) {
    peer.request();
    peer.send("HTTP/1.1 307 Temporary Redirect\r\nLocation: " + elsewhere.url() +
              "\r\nContent-Length: 0\r\n\r\n");
  });
  use(server);
  EXPECT_NE(id_or_error().find("redirect, which is not followed"), std::string::npos);
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST_F(ContainerLive, AnEndpointThatStallsIsGivenUpAfterThreeShortTries) {
  RawServer server([](Peer& peer, int) {
    peer.request();
    peer.hang();
  });
  use(server);
  const std::string text = id_or_error();
  EXPECT_NE(text.find("container endpoint http://127.0.0.1"), std::string::npos) << text;
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(ContainerLive, TheProxyOfTheEnvironmentNeverSeesTheToken) {
  RawServer proxy([](Peer& peer, int) { peer.request(); });
  RawServer server([&](Peer& peer, int) {
    peer.request();
    peer.send(http("200 OK", container_json("TES", "2999-01-01T00:00:00Z")));
  });
  use(server);
  ::setenv("http_proxy", proxy.url().c_str(), 1);  // NOLINT(concurrency-mt-unsafe): one thread yet
  EXPECT_EQ(id_or_error(), "TES");
  ::unsetenv("http_proxy");  // NOLINT(concurrency-mt-unsafe): one again
  EXPECT_EQ(proxy.connections(), 0);
}

// The service accepts exactly what was handed out last.
TEST_F(ContainerLive, KeysThatAreRefusedAreReplacedInTheMiddleOfACall) {
  int handed_out = 0;
  RawServer endpoint([&](Peer& peer, int) {
    peer.request();
    peer.send(http("200 OK",
                   container_json("TES" + std::to_string(++handed_out), "2999-01-01T00:00:00Z")));
  });
  std::vector<std::string> keys;
  RawServer kinesis([&](Peer& peer, int) {
    for (;;) {
      const std::string request = peer.request();
      if (request.empty()) return;
      const auto at = request.find("Credential=") + 11;
      keys.push_back(request.substr(at, request.find('/', at) - at));
      const bool good = keys.back() == "TES2";
      const std::string body =
          good ? R"({"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"}]})"
               : R"({"__type":"ExpiredTokenException","message":"expired"})";
      peer.send("HTTP/1.1 " + std::string(good ? "200 OK" : "400 Bad Request") +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
  });
  use(endpoint);
  aws.region = "eu-central-1";
  aws.endpoint_url = kinesis.url();
  auto factory = make_factory(
      aws, transport, [](const auto&) { return ExportOptions{}; }, clock, metrics, 1);
  ASSERT_TRUE(factory) << factory.error().what;
  exporter::ExportSpec spec;
  spec.stream_name = "pumps";
  spec.config.type = model::ExportType::kKinesis;
  spec.config.identifier = "cloud";
  spec.config.target = "telemetry";
  auto made = (*factory)(spec);
  ASSERT_TRUE(made) << made.error().what;
  exporter::Batch batch("pumps", "cloud");
  batch.add(SequenceNumber(0), 1, as_bytes("x"));
  const auto outcome = (*made)->deliver(batch, {});
  EXPECT_EQ(outcome.verdict, exporter::Verdict::kDelivered) << outcome.error;
  EXPECT_EQ(keys, (std::vector<std::string>{"TES1", "TES2"}));
}

}  // namespace
}  // namespace weir::destination::credentials
