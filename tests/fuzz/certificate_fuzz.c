/*
 * The name in a certificate, which may decide who somebody is: a text without zero bytes, as long
 * as it was encoded, or none.
 */
#include "../../proxy/net/tls.h"

#include "segue/base/error.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* What the encoding itself says of the first common name. */
static void check_name(X509 *certificate, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    BUG_ON(place < 0);
    ASN1_STRING *encoded = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place));
    BUG_ON((size_t)ASN1_STRING_length(encoded) != strlen(name));
    BUG_ON(memcmp(ASN1_STRING_get0_data(encoded), name, strlen(name)) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    X509 *certificate = d2i_X509(NULL, &data, (long)length);
    if (!certificate)
        return 0;
    char name[64 + 1];
    for (size_t size = 1; size <= sizeof name; size += 8) {
        memset(name, 'x', sizeof name);
        if (tls_common_name(certificate, name, size))
            check_name(certificate, name);
    }
    X509_free(certificate);
    return 0;
}
