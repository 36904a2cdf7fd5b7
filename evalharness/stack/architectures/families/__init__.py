"""The families of decoders that Hugging Face's folders hold, one file each; `known` has the list of them."""
