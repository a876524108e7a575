package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// The peers are given one worker, connections that stay open on both sides, room for 10,000 of them, no log of
// requests, the same kinds of certificates and cipher suite, tickets for sessions, and the forwarding headers that
// Pergola adds.

// nginxConfig gives nginx, beside that, room for 128 KiB of an answer in memory.
func nginxConfig(dir string, front netip.AddrPort, s setup) string {
	var temporary strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s/%s; ", what, dir, what)
	}
	listen := fmt.Sprintf("listen %v;", front)
	if s.TLS {
		listen = fmt.Sprintf(`listen %v ssl http2;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_prefer_server_ciphers on; # and with them the key on P-256
    ssl_session_tickets on;`, front, s.Pairs.RSA.Certificate, s.Pairs.RSA.Key, s.Pairs.P256.Certificate,
			s.Pairs.P256.Key)
	}
	forward, set := `proxy_pass http://target;
      proxy_http_version 1.1;
      proxy_buffer_size 16k;
      proxy_buffers 8 16k;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection "";`, "proxy_set_header"
	if s.GRPC {
		forward, set = "grpc_pass grpc://target;", "grpc_set_header"
	}
	return fmt.Sprintf(`
daemon off;
worker_processes 1;
worker_rlimit_nofile %[1]d;
pid %[2]s/pid;
error_log stderr error;
events { worker_connections 16384; }
http {
  %[3]s
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  upstream target {
    server %[4]v;
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    %[5]s
    location / {
      %[6]s
      %[7]s Host $http_host;
      %[7]s X-Forwarded-For $proxy_add_x_forwarded_for;
      %[7]s X-Forwarded-Port $server_port;
      %[7]s X-Forwarded-Proto $scheme;
    }
  }
}
`, descriptors(), dir, temporary.String(), s.Target, listen, forward, set)
}

// haproxyConfig gives HAProxy one thread.
func haproxyConfig(_ string, front netip.AddrPort, s setup) string {
	bind, scheme, version := "", "http", ""
	if s.TLS {
		bind, scheme = fmt.Sprintf("ssl crt %s crt %s alpn h2,http/1.1", s.Pairs.P256.Both, s.Pairs.RSA.Both), "https"
	}
	if s.GRPC {
		version = "proto h2"
	}
	return fmt.Sprintf(`
global
  nbthread 1
  maxconn 12000
  no strict-limits
  ssl-default-bind-ciphers ECDHE-RSA-AES128-GCM-SHA256
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend clients
  bind %v %s
  option forwardfor
  http-request set-header X-Forwarded-Port %%[dst_port]
  http-request set-header X-Forwarded-Proto %s
  default_backend targets
backend targets
  server target %v %s
`, front, bind, scheme, s.Target, version)
}

// caddyConfig gives Caddy no administration, and only the protocols of the comparison. It adds X-Forwarded-For and
// X-Forwarded-Proto by itself. Its cipher suites of TLS 1.3 are those of Go.
func caddyConfig(dir string, front netip.AddrPort, s setup) string {
	site, secure, scheme := "http://", "", "http://"
	if s.TLS {
		site = "https://"
		secure = fmt.Sprintf("tls %s %s {\n    ciphers TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  }\n  tls %s %s",
			s.Pairs.RSA.Certificate, s.Pairs.RSA.Key, s.Pairs.P256.Certificate, s.Pairs.P256.Key)
	}
	if s.GRPC {
		scheme = "h2c://"
	}
	return fmt.Sprintf(`
{
  admin off
  auto_https off
  storage file_system %s
  log {
    output stderr
    level ERROR
  }
  servers {
    protocols h1 h2
  }
}
%s:%d {
  bind %v
  %s
  reverse_proxy %s%v {
    header_up X-Forwarded-Port {http.request.port}
    transport http {
      keepalive_idle_conns_per_host 256
      compression off
      %s
    }
  }
}
`, dir, site, front.Port(), front.Addr(), secure, scheme, s.Target, map[bool]string{true: "versions h2c"}[s.GRPC])
}
