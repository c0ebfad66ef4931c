/* Our content security policy forbids style attributes. The admin's theme (Alpine) sets some from its scripts, which may set the
   same through the style object. */
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};
