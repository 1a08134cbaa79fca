import java.net.URI;
import java.net.http.*;
import java.security.*;
import java.util.*;

/** Opens what was sealed to a key of the sidecar, with `java Main.java ALIAS`. It reads lines from its input:
 *  "CIPHERTEXT [VERSION]" opens a ciphertext in the sidecar, and "release" asks for the key. */
class Main {
    static final String SKR = System.getenv().getOrDefault("SKR_URL", "http://localhost:8080");
    static final HttpClient HTTP = HttpClient.newBuilder().proxy(HttpClient.Builder.NO_PROXY).build();

    static byte[] ask(HttpRequest.Builder request) throws Exception {
        for (;;) {
            var answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
            if (answer.statusCode() == 200) return answer.body();
            var wait = answer.headers().firstValueAsLong("Retry-After");
            if (answer.statusCode() != 503 || wait.isEmpty()) throw new GeneralSecurityException(member(new String(answer.body()), "code"));
            Thread.sleep(1000 * wait.getAsLong());
        }
    }
    static String member(String json, String name) { // none of these values has an escape
        return java.util.regex.Pattern.compile('"' + name + "\":\"([^\"]*)\"").matcher(json).results().findFirst().orElseThrow().group(1);
    }
    public static void main(String[] args) throws Exception {
        var newest = "";
        for (var in = new Scanner(System.in); in.hasNextLine();) try {
            var line = (in.nextLine() + " ").split(" ", 2);
            if (line[0].equals("release")) {
                var der = ask(HttpRequest.newBuilder(URI.create(SKR + "/key/release?format=der&alias=" + args[0])));
                System.out.println("released: " + KeyFactory.getInstance("RSA").generatePrivate(new java.security.spec.PKCS8EncodedKeySpec(der)).getFormat());
                continue;
            }
            var body = "{\"alias\":\"%s\",\"version\":\"%s\",\"alg\":\"RSA-OAEP-256\",\"value\":\"%s\"}".formatted(args[0], line[1].trim(), line[0]);
            var used = new String(ask(HttpRequest.newBuilder(URI.create(SKR + "/key/decrypt")).POST(HttpRequest.BodyPublishers.ofString(body))));
            if (line[1].isBlank() && !newest.equals(newest = member(used, "kid"))) System.out.println("key version: " + newest.replaceAll(".*/", ""));
            System.out.println("opened: " + new String(Base64.getUrlDecoder().decode(member(used, "value"))));
        } catch (GeneralSecurityException refused) { System.out.println("refused: " + refused.getMessage()); }
    }
}
