/** One short message at the bottom of the page, gone after a moment. */
class Toast {
  text = $state("");
  #timer: ReturnType<typeof setTimeout> | undefined;

  say(text: string): void {
    this.text = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.text = ""), 2500);
  }
}

export const toast = new Toast();
