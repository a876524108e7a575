import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * GETs a URL of a service, signed with SigV4. Java 17, standard library only.
 *
 * <pre>AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=… java Sign.java URL</pre>
 */
public class Sign {
    private static final String SERVICE = "vpc-lattice-svcs";
    private static final String PAYLOAD = "UNSIGNED-PAYLOAD";
    private static final DateTimeFormatter BASIC = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

    public static void main(String[] args) throws Exception {
        var url = URI.create(args[0]);
        // HTTP/1.1, or the client asks for an upgrade to HTTP/2 on the way.
        var request = HttpRequest.newBuilder(url).version(HttpClient.Version.HTTP_1_1);
        sign("GET", url).forEach(request::header);
        var answer = HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofString());
        System.out.print(answer.statusCode() + " " + answer.body());
    }

    /** The header fields that sign a request now. The client itself sends the host, which is signed too. */
    static SortedMap<String, String> sign(String method, URI url) throws GeneralSecurityException {
        var at = BASIC.format(Instant.now());
        var fields = new TreeMap<String, String>();
        fields.put("host", url.getRawAuthority().replaceFirst(url.getScheme().equals("http") ? ":80$" : ":443$", ""));
        fields.put("x-amz-content-sha256", PAYLOAD);
        fields.put("x-amz-date", at);
        var token = System.getenv("AWS_SESSION_TOKEN");
        if (token != null && !token.isEmpty()) {
            fields.put("x-amz-security-token", token);
        }
        var names = String.join(";", fields.keySet());
        var lines = fields.entrySet().stream().map(f -> f.getKey() + ":" + f.getValue() + "\n").collect(Collectors.joining());
        var path = url.getRawPath().isEmpty() ? "/" : url.getRawPath();
        var canonical = String.join("\n", method, path, query(url.getRawQuery()), lines, names, PAYLOAD);

        var scope = String.join("/", at.substring(0, 8), System.getenv("AWS_REGION"), SERVICE, "aws4_request");
        var hash = MessageDigest.getInstance("SHA-256").digest(canonical.getBytes(UTF_8));
        var toSign = String.join("\n", "AWS4-HMAC-SHA256", at, scope, HexFormat.of().formatHex(hash));
        var key = ("AWS4" + System.getenv("AWS_SECRET_ACCESS_KEY")).getBytes(UTF_8);
        for (var part : scope.split("/")) {
            key = mac(key, part);
        }
        fields.put("authorization", "AWS4-HMAC-SHA256 Credential=" + System.getenv("AWS_ACCESS_KEY_ID") + "/" + scope
            + ", SignedHeaders=" + names + ", Signature=" + HexFormat.of().formatHex(mac(key, toSign)));
        fields.remove("host");
        return fields;
    }

    /** The parameters in canonical spelling and order. */
    static String query(String raw) {
        if (raw == null) {
            return "";
        }
        return Arrays.stream(raw.split("&")).filter(pair -> !pair.isEmpty()).map(pair -> {
            var parts = pair.split("=", 2);
            // A line feed comes before whatever a name may go on with.
            return encode(parts[0]) + "\n" + (parts.length == 2 ? encode(parts[1]) : "");
        }).sorted().map(pair -> pair.replace('\n', '=')).collect(Collectors.joining("&"));
    }

    static String encode(String text) {
        return URLEncoder.encode(URLDecoder.decode(text, UTF_8), UTF_8).replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
    }

    static byte[] mac(byte[] key, String text) throws GeneralSecurityException {
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(UTF_8));
    }
}
