"""SelfCheckGPT: is a text consistent with further texts of the same model? (Manakul et al. 2023, arXiv:2303.08896)"""
