/* SHA-1, SHA-256 and MD5: the examples of FIPS 180-4 and of NIST, and Python's hashlib around the size of a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"

static void digest(HashKind kind, const char *bytes, size_t n, size_t piece, char text[HASH_TEXT])
{
    Hash h;
    hash_begin(&h, kind);
    for (size_t at = 0; at < n; at += piece)
        hash_add(&h, bytes + at, n - at < piece ? n - at : piece);
    hash_end(&h, text);
}

static void known(const char *text, size_t n, const char *sha1, const char *sha256, const char *md5)
{
    static const size_t PIECES[] = {1, 3, 55, 64, 65, 1000000};
    char got[HASH_TEXT];
    for (int i = 0; i < 6; i++) {
        digest(HASH_SHA1, text, n, PIECES[i], got);
        assert_string_equal(got, sha1);
        digest(HASH_SHA256, text, n, PIECES[i], got);
        assert_string_equal(got, sha256);
        digest(HASH_MD5, text, n, PIECES[i], got);
        assert_string_equal(got, md5);
    }
}

static void examples(void **state)
{
    known("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709",
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
          "d41d8cd98f00b204e9800998ecf8427e");
    known("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
          "900150983cd24fb0d6963f7d28e17f72");
    known("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
          "8215ef0796a20bcaaae116d3876c664a");
}

static void million(void **state)
{
    static char a[1000000];
    memset(a, 'a', sizeof a);
    known(a, sizeof a, "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
          "7707d6ae4e027c70eea2a935c2296f21");
}

/* Byte i of n is (7 i + n) mod 256. */
static void around_a_block(void **state)
{
    static const struct {
        size_t n;
        const char *sha1, *sha256, *md5;
    } CASES[] = {
        {54, "7fe50979b12cf9232dda5ca196ac5d968090bc2c",
         "1ad616be707a2b269ecfe28bdea4a4284a4f78a221287d45b98004231f501c77",
         "c6c0fc662f5f7f53209bd2676b345662"},
        {55, "63ac9708fb581dd150d3647549f9e0cb51dcf1df",
         "81afe5b788dc2ce138ff83d9b20164db75a94d75d2b2432eea4a0ef605088c72",
         "f1289732253518750e22b62a571a1748"},
        {56, "5a0c4d0eb2f15e05bbbff6b8dada9ae767fc03f0",
         "2aba54f0ac632420a2b502431408866e40e1d5e430df4cd822642c78ab2eb9c1",
         "179e3b9fa272a23e2a8b32bde1015414"},
        {57, "4e77d3077d2ab5167db3434c31cac3d15a3afc12",
         "903284efbf9100e8ba1614ec65eacacad125e03f857cae7acbf8b73b23e0fdfe",
         "d5f0a59aa9d6d8164d3754fb91f67809"},
        {63, "d94ff3ad53f9b9327704b812ee9c1f3abbba3d48",
         "733d3d4ee79ee67145bf73da13588f6f235d37414fc64b14a2f00f1762792f5e",
         "dd785945d1d6b87eca0d276dbb8756fd"},
        {64, "5f55a35e13f1865e7ffc22dca1275b1a49b0ff56",
         "79322907b3e9d013d7dc2c2f256674dbf733045cde01df3539271c6f5605feb8",
         "e3ab394ce4eb7da020a27d2e2443143c"},
        {65, "d7f8931010f8342a97383e1410a58c47d057708b",
         "d85c007c6eb440f085afa2b84f6f2bce4658b240e9f62cb1364bf0485a57e720",
         "28a6b0f918d9aea03e979a1657d8d0f6"},
        {119, "774001b5ad1f46b40c48e1b94cb092c593ead25b",
         "6c87eedf096b345de205b702e5223b73b447a3207791ded3ea007ba15ed6736e",
         "d49720530a386a3191eac0dc840dd1bd"},
        {120, "6ebf3111dc761f11b13f29df0484848785385973",
         "42500cf6a1e3936d6b9e0bcfe296d654b63255e525487d3634d0b15fde591c4d",
         "8a440004b569286a42c722295ce1c5a6"},
        {127, "82d007f6e7e5672722c0717b6bea2ba6f17cd35c",
         "68f6ff710276900c0ffbbc57426f67e00c2e01f0750c7edc25ac06b8ce7a8095",
         "36d03458e8a745e61afcf02257826e12"},
        {128, "0a44ac02432f6ead67d86fcb70a4d8ce589e50ec",
         "489d55fea9a73af36b6dd0be7b4117d8e5683386d39544e8a44c99a87f368707",
         "52cc29caecfd9380a2261a80c58e6787"},
    };
    for (size_t c = 0; c < sizeof CASES / sizeof *CASES; c++) {
        char bytes[128];
        for (size_t i = 0; i < CASES[c].n; i++)
            bytes[i] = (char)(7 * i + CASES[c].n);
        known(bytes, CASES[c].n, CASES[c].sha1, CASES[c].sha256, CASES[c].md5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),
        cmocka_unit_test(million),
        cmocka_unit_test(around_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
