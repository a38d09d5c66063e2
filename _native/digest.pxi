# Digests of libcrypto, as all extensions that hash use them.

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_MD:
        pass
    ctypedef struct EVP_MD_CTX:
        pass
    EVP_MD *EVP_MD_fetch(void *library, const char *algorithm, const char *properties)
    EVP_MD_CTX *EVP_MD_CTX_new()
    int EVP_MD_CTX_reset(EVP_MD_CTX *context)
    void EVP_MD_CTX_free(EVP_MD_CTX *context)
    int EVP_MD_CTX_copy_ex(EVP_MD_CTX *to, const EVP_MD_CTX *source)
    int EVP_DigestInit_ex(EVP_MD_CTX *context, const EVP_MD *digest, void *engine)
    int EVP_DigestUpdate(EVP_MD_CTX *context, const void *data, size_t size)
    int EVP_DigestFinal_ex(EVP_MD_CTX *context, unsigned char *digest, unsigned int *size)


cdef const EVP_MD *SHA256 = EVP_MD_fetch(NULL, b"SHA256", NULL)
