import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** Asks the vault and the authority, with Java's own resolver and TLS. */
class Names {
    static int status(String url) throws Exception {
        return HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.discarding()).statusCode();
    }

    public static void main(String[] args) throws Exception {
        System.out.println(status("https://" + System.getenv("AKV_ENDPOINT") + "/keys?api-version=7.4")
                + " " + status("https://" + System.getenv("MAA_ENDPOINT") + "/certs"));
    }
}
