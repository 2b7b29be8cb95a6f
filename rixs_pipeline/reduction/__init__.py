"""The stages of one reduction: what each product is made from, and its making where it is not fresh."""
