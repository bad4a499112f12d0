// Colours for code: strings, numbers, words of the language and comments. Text nodes and spans only, never HTML.

const PARTS = {
  json: /(?<string>"(?:\\.|[^"\\])*")|(?<number>-?\b\d[\d.eE+-]*\b)|(?<word>\b(?:true|false|null)\b)/g,
  javascript:
    /(?<note>\/\/.*)|(?<string>"(?:\\.|[^"\\])*"|`[^`]*`)|(?<number>\b\d+\b)|(?<word>\b(?:const|await|new|function|async|return)\b)/g,
  python:
    /(?<note>#.*)|(?<string>"(?:\\.|[^"\\])*")|(?<number>\b\d+\b)|(?<word>\b(?:import|from|async|def|await|if|is|print|lambda|with|as)\b)/g,
  curl: /(?<note>^#.*)|(?<string>'[^']*'|"[^"]*")|(?<word>\bcurl\b)/gm,
};

/** Puts `text` into `element`, coloured. */
export function paint(element, text, language) {
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(PARTS[language])) {
    pieces.push(text.slice(at, match.index));
    const [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    const span = document.createElement("span");
    span.className = `t-${kind}`;
    span.textContent = match[0];
    pieces.push(span);
    at = match.index + match[0].length;
  }
  element.replaceChildren(...pieces, text.slice(at));
}
